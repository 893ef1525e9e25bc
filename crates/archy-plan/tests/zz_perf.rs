//! temporary
#![allow(dead_code, clippy::all)]
#[path = "it/apps.rs"] mod apps;
#[path = "it/world.rs"] mod world;
use archy_plan::*;
#[test]
fn perf() {
    let mut w = world::World::new();
    let mut all = vec![];
    for n in 0..400 {
        let text = apps::STACK.replace("forum", &format!("forum{n:03}")).replace("8200", &format!("{}", 10000+n));
        all.push(apps::app(&text));
    }
    for a in &all { w.run(a, &all, Intent::Install); }
    let o = w.observe();
    for _ in 0..3 {
    let t = std::time::Instant::now();
    let ds: Vec<_> = all.iter().map(|a| render_app(a, &o, &all).unwrap()).collect();
    let r = t.elapsed();
    let t = std::time::Instant::now();
    for (a,d) in all.iter().zip(&ds) { let p = plan_with(a, d, &o, &all, Intent::Converge); assert!(p.is_empty()); }
    let p = t.elapsed();
    let t = std::time::Instant::now();
    for (a,d) in all.iter().zip(&ds) { let _ = assess_among(a, d, &o, &all, None, archy_types::Timestamp(5)); }
    println!("render {r:?} plan {p:?} assess {:?}", t.elapsed());
    }
}
