//! `signet-faults`: runs the scenarios one after the other and prints the table.

use std::{
    collections::hash_map::RandomState,
    fs,
    hash::BuildHasher,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Parser;
use signet_faults::{Findings, Report, Run, Scale, Scenario, faults};

/// When a run with short counts ends at the latest.
const SHORT: Duration = Duration::from_mins(15);

/// Break the service on purpose, and compare what it keeps with what it promises
#[derive(Debug, Parser)]
#[command(max_term_width = 120)]
struct Args {
    /// What all randomness comes from [default: another one each time]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// The full counts, which take two hours, in place of some minutes
    #[arg(long)]
    long: bool,

    /// Only the scenarios with these names
    #[arg(long, value_name = "NAME", num_args = 1..)]
    only: Vec<String>,

    /// Tell the names of the scenarios
    #[arg(long)]
    list: bool,

    /// The program to break
    #[arg(long, value_name = "PATH", default_value = "target/release/signet")]
    signet: PathBuf,

    /// Write the table to this file, too, as far as it is after each scenario
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if args.list {
        for scenario in faults::ALL {
            println!("{:<24} {}", scenario.name, scenario.fault);
        }
        return ExitCode::SUCCESS;
    }
    match run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// Whether every promise held.
fn run(args: &Args) -> Result<bool, String> {
    let chosen = choose(&args.only)?;
    let signet = fs::canonicalize(&args.signet)
        .map_err(|error| format!("{}: {error}; build it, or name another with --signet", args.signet.display()))?;
    let seed = args.seed.unwrap_or_else(|| RandomState::new().hash_one(std::process::id()));
    let run = Run { signet, seed, scale: if args.long { Scale::Full } else { Scale::Short } };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start the runtime: {error}"))?;
    eprintln!("seed {seed}");
    let mut report = Report::new(&run);
    let deadline = (!args.long).then(|| Instant::now() + SHORT);
    for scenario in chosen {
        eprintln!("{} …", scenario.name);
        let begun = Instant::now();
        let left = deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(begun));
        let findings = runtime.block_on(async { tokio::time::timeout(left, scenario.run(&run)).await });
        let findings = findings.unwrap_or_else(|_elapsed| {
            let mut findings = Findings::default();
            findings.promise(false, format!("not done within the {SHORT:?} of a run with short counts"));
            findings
        });
        eprintln!(
            "{} {}, {:.1} s",
            scenario.name,
            if findings.hold() { "held" } else { "FAILED" },
            begun.elapsed().as_secs_f64()
        );
        report.add(scenario, &findings, begun.elapsed());
        if let Some(path) = &args.out {
            fs::write(path, report.to_string()).map_err(|error| format!("{}: {error}", path.display()))?;
        }
    }
    print!("{report}");
    Ok(report.holds())
}

fn choose(only: &[String]) -> Result<Vec<&'static Scenario>, String> {
    if let Some(unknown) = only.iter().find(|name| faults::ALL.iter().all(|scenario| scenario.name != **name)) {
        return Err(format!("there is no scenario {unknown}; --list tells the names"));
    }
    Ok(faults::ALL.iter().filter(|scenario| only.is_empty() || only.iter().any(|name| name == scenario.name)).collect())
}
