//! Builds images with buildah in the nodes' base root file system and pushes them.
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::ImagesError;
use super::program::program;
use super::recipe::{BASE, Image, Table};
use super::{Index, Pinned, registry, rootfs};
use crate::cache::{Cache, at, write_whole};
use crate::node::{ensure_base, ensure_scripts};
use crate::sh::{Cmd, env, step};

/// A long compilation on a small machine.
const BUILD_LIMIT: Duration = Duration::from_secs(3600);

/// Where systems keep the certificates they trust.
const CERTIFICATES: &[&str] =
    &["/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/certs/ca-certificates.crt"];

/// What is remembered of an image that was pushed.
#[derive(Debug, Serialize, Deserialize)]
struct Made {
    recipe: String,
    digest: String,
}

/// Where builds run and what they see.
struct Shop<'a> {
    cache: &'a Cache,
    table: &'a Table,
    base: PathBuf,
    script: PathBuf,
    dir: PathBuf,
}

/// Makes sure that images are built and in the registry, the slow ones beside the others.
pub(super) fn all(cache: &Cache, table: &Table, wanted: &[&Image]) -> Result<Index, ImagesError> {
    let base = ensure_base(cache)?;
    let script = ensure_scripts(cache)?.join("chroot.sh");
    let shop = Shop { cache, table, base, script, dir: cache.dir("images")? };
    let (first, rest): (Vec<&Image>, Vec<&Image>) =
        wanted.iter().partition(|image| image.name == BASE);
    let mut index = lane(&shop, &first, 0)?;
    let (slow, quick): (Vec<&Image>, Vec<&Image>) = rest.iter().partition(|image| image.slow);
    let (slow, quick) = thread::scope(|scope| {
        let slow = scope.spawn(|| lane(&shop, &slow, 1));
        let quick = lane(&shop, &quick, 0);
        (slow.join(), quick)
    });
    index.extend(quick?);
    match slow {
        Ok(slow) => index.extend(slow?),
        Err(panic) => std::panic::resume_unwind(panic),
    }
    index.remove(BASE);
    Ok(index)
}

/// Images one after the other; two lanes share nothing that apt locks.
fn lane(shop: &Shop<'_>, images: &[&Image], lane: u8) -> Result<Index, ImagesError> {
    let mut index = Index::new();
    for image in images {
        let digest = shop.image(image, lane).map_err(|source| ImagesError::Build {
            name: image.name.clone(),
            source: Box::new(source),
        })?;
        let repo = format!("{}/{}", registry::ADDRESS, repo(image));
        let reference = format!("{repo}@{digest}");
        let pinned = Pinned { repo, tag: image.tag.clone(), digest, reference };
        index.insert(image.name.clone(), pinned);
    }
    Ok(index)
}

fn repo(image: &Image) -> String {
    format!("archy/{}", image.repo.as_ref().unwrap_or(&image.name))
}

fn local(name: &str) -> String {
    format!("localhost/archy/{name}")
}

/// buildah wants a million open files and processes for a build; where the machine's own limits are lower and may not
/// be raised, those.
fn limits() -> impl Iterator<Item = String> {
    use rustix::process::{Resource, getrlimit};
    [("nofile", Resource::Nofile), ("nproc", Resource::Nproc)].into_iter().filter_map(|limit| {
        let (name, resource) = limit;
        let hard = getrlimit(resource).maximum.filter(|hard| *hard < 1 << 20)?;
        Some(format!("--ulimit={name}={hard}:{hard}"))
    })
}

impl Shop<'_> {
    /// The digest of an image that is up to date and in the registry.
    fn image(&self, image: &Image, lane: u8) -> Result<String, ImagesError> {
        let recipe = self.table.hash(image)?;
        let memory = self.cache.dir("images/made")?.join(format!("{}.json", image.name));
        let made = fs::read_to_string(&memory).ok();
        let made: Option<Made> = made.and_then(|text| serde_json::from_str(&text).ok());
        let made = made.filter(|made| made.recipe == recipe);
        if let Some(made) = &made
            && registry::has(&repo(image), &made.digest)
        {
            return Ok(made.digest.clone());
        }
        if made.is_none() || !self.in_store(&image.name)? {
            for parent in self.table.parents(image)? {
                if !self.in_store(&parent)? {
                    self.make(self.table.get(&parent)?, lane)?;
                }
            }
            self.make(image, lane)?;
        }
        let digest = step(&format!("push {}:{}", repo(image), image.tag), || self.push(image))?;
        let text = serde_json::to_vec_pretty(&Made { recipe, digest: digest.clone() });
        write_whole(&memory, &text.unwrap_or_default())?;
        Ok(digest)
    }

    fn make(&self, image: &Image, lane: u8) -> Result<(), ImagesError> {
        let context = self.table.dir().join(&image.dir);
        let mut binds = vec![(context, "/run/archy/context".to_owned())];
        let mut options = Vec::new();
        for (dir, target) in [("debs", "/var/cache/apt/archives"), ("lists", "/var/lib/apt/lists")]
        {
            let host = self.cache.dir(&format!("images/{dir}-{lane}"))?;
            fs::create_dir_all(host.join("partial")).map_err(at("cannot make", &host))?;
            binds.push((host, format!("/run/archy/{dir}")));
            options.push(format!("--volume=/run/archy/{dir}:{target}"));
        }
        options.extend(limits());
        if image.slow {
            for (host, name) in self.toolchain(image)? {
                options.push(format!("--volume=/run/archy/{name}:/run/archy/{name}"));
                binds.push((host, format!("/run/archy/{name}")));
            }
        }
        if image.name == BASE {
            rootfs::make(self.cache, &self.dir)?;
            binds[0].0 = self.dir.join("base-context");
            self.base_context(&binds[0].0)?;
        }
        if let Some(bin) = &image.bin {
            binds.push((program(self.cache, self.table.dir(), bin)?, "/run/archy/bin".into()));
            options.push("--build-context=bin=/run/archy/bin".into());
        }
        options.extend(image.args.iter().map(|(key, value)| format!("--build-arg={key}={value}")));
        let log = self.cache.dir("logs")?.join(format!("image-{}.log", image.name));
        let mut argv = vec!["build".to_owned(), "--isolation=chroot".into()];
        let fixed =
            ["--layers=false", "--pull=never", "--format=oci", "--network=host", "--no-cache"];
        argv.extend(fixed.map(str::to_owned));
        argv.extend(options);
        argv.extend([format!("--tag={}", local(&image.name)), "/run/archy/context".into()]);
        step(&format!("build the image {}", image.name), || {
            Ok(self.buildah(&binds, &argv)?.limit(BUILD_LIMIT).logged(&log)?)
        })
    }

    fn push(&self, image: &Image) -> Result<String, ImagesError> {
        let target = format!("docker://{}/{}:{}", registry::ADDRESS, repo(image), image.tag);
        let digests = self.cache.dir("images/digests")?;
        let file = format!("/run/archy/digests/{}", image.name);
        let mut argv = ["push", "--quiet", "--tls-verify=false"].map(str::to_owned).to_vec();
        argv.extend([format!("--digestfile={file}"), local(&image.name), target]);
        let binds = [(digests.clone(), "/run/archy/digests".to_owned())];
        self.buildah(&binds, &argv)?.limit(BUILD_LIMIT).run()?;
        let path = digests.join(&image.name);
        let digest = fs::read_to_string(&path).map_err(at("cannot read", &path))?;
        Ok(digest.trim().to_owned())
    }

    /// True when buildah's store has an image.
    fn in_store(&self, name: &str) -> Result<bool, ImagesError> {
        let argv = ["inspect", "--type=image", &local(name)].map(str::to_owned);
        Ok(self.buildah(&[], &argv)?.output()?.ok())
    }

    /// A buildah command in the nodes' base root file system, with the host's network and our image store.
    fn buildah(&self, binds: &[(PathBuf, String)], argv: &[String]) -> Result<Cmd, ImagesError> {
        let store = self.cache.dir("images/store")?;
        let mut cmd = Cmd::new("unshare").args(["-m", "bash"]).arg(&self.script).arg(&self.base);
        cmd = cmd.arg(format!("{}:/run/archy/store", store.display()));
        cmd = cmd.arg("/etc/resolv.conf:/etc/resolv.conf");
        for (host, target) in binds {
            cmd = cmd.arg(format!("{}:{target}", host.display()));
        }
        let path = "/usr/sbin:/usr/bin:/sbin:/bin";
        cmd = cmd.args(["--", "/usr/bin/env", "-i", "HOME=/root", &format!("PATH={path}")]);
        for key in ["http_proxy", "https_proxy", "no_proxy"] {
            if let Some(value) = env(key) {
                cmd = cmd.arg(format!("{key}={value}"));
            }
        }
        cmd = cmd.args(["buildah", "--root=/run/archy/store", "--runroot=/run/archy/runroot"]);
        Ok(cmd.arg("--storage-driver=overlay").args(argv))
    }

    /// The base image's context: its Containerfile and the root file system's archive.
    fn base_context(&self, into: &Path) -> Result<(), ImagesError> {
        fs::create_dir_all(into).map_err(at("cannot make", into))?;
        let file = self.table.dir().join(BASE).join("Containerfile");
        fs::copy(&file, into.join("Containerfile")).map_err(at("cannot copy", &file))?;
        let tar = self.dir.join("rootfs.tar");
        fs::rename(&tar, into.join("rootfs.tar")).map_err(at("cannot rename", &tar))?;
        Ok(())
    }

    /// This machine's Rust toolchain, cargo's home and a target directory that outlives the build.
    fn toolchain(&self, image: &Image) -> Result<[(PathBuf, &'static str); 3], ImagesError> {
        let sysroot = Cmd::new("rustc").args(["--print", "sysroot"]).dir(self.table.dir()).run()?;
        let target = self.cache.dir(&format!("images/target-{}", image.name))?;
        let home = self.cache.dir("images/cargo")?;
        // the machine's own certificates: behind a company's proxy they are the only ones that hold
        let found =
            CERTIFICATES.iter().map(PathBuf::from).chain(env("SSL_CERT_FILE").map(Into::into));
        if let Some(bundle) = found.rev().find(|path| path.exists()) {
            fs::copy(&bundle, home.join("ca.crt")).map_err(at("cannot copy", &bundle))?;
        }
        Ok([(PathBuf::from(sysroot.text()), "rust"), (home, "cargo"), (target, "target")])
    }
}
