//! Plans as people read them: text scripts run through the real planner over a modelled host.
//!
//! A script is a file of `scripts/`. Every file there is run; `ARCHY_UPDATE=1` writes the output
//! that the commands give now into the files. The first lines, each with `#`, say what it shows.
//! Then come sections:
//!
//! ```text
//! # A port that something else listens on is told before anything is touched.
//! --- manifest notes          a manifest, by a name that commands use
//! app: { … }
//! --- host                    the host before the first command, one fact a line
//! listening 8080/tcp
//! --- script
//! $ plan install notes        a command
//! error [port-taken]: …       what it prints
//! ```
//!
//! Facts, in `--- host` and as `$ host FACT` in between:
//!
//! ```text
//! image REFERENCE             is present          unpullable REFERENCE    no pull finds it
//! gone image REFERENCE        was removed         gone file FILE          a unit file was removed
//! gone container|network|volume|secret NAME       … and what they name
//! foreign container|network|volume NAME           was not made by Archipelago
//! listening PORT/PROTOCOL     something else has the port
//! edited FILE: OLD => NEW     somebody changed a unit file (\n is a new line)
//! stopped UNIT                by `systemctl --user stop`
//! failed UNIT RESULT          ended and used up its restarts
//! masked UNIT                 by `systemctl --user mask`
//! unknown FACT: WHY           units, containers, unit-files, images, … cannot be seen
//! known FACT                  … can be seen again
//! without CONTROLLER          the host does not delegate it
//! disk SIZE_IN_MIB            is free
//! ```
//!
//! Commands:
//!
//! ```text
//! plan                        what a pass over every app would do
//! plan ACTION NAME            what the action would do; nothing changes
//! apply                       lets a pass do its work, and says what it did
//! apply ACTION NAME           does it; the wish stays
//! state APP                   state, cause, next step, repair
//! files                       names of the unit files on the host
//! ```
//!
//! Actions: `install` with a manifest's name; `start`, `stop`, `restart`, `uninstall`, `purge` with
//! an app's id. Settings and ports follow an install as `KEY=VALUE` and `PORT=PORT`.
