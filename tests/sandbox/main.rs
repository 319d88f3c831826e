//! `sandbox` — the servers as one program, for whoever is not a Rust test.
//!
//! Prints one line of JSON with the addresses and the key, then serves until it is killed.

use std::{
    io::{self, Read, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::Parser;
use sandbox::{
    Faults, Rate, Server, event_api, eventzilla, see_tickets,
    ticketmaster::{self, Moment},
    xurrent,
};

/// Local servers that behave like the ticketing APIs.
///
/// Prints one line of JSON with each server's base URL under its name and the key as `api_key`, and serves until it is
/// killed.
#[derive(Debug, Parser)]
#[command(name = "sandbox")]
struct Arguments {
    /// What all data follows from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The key that all accept
    #[arg(long, default_value = "sandbox-key")]
    api_key: String,
    /// Port of the generic event API; 0 for any free one
    #[arg(long, default_value_t = 0)]
    port_event_api: u16,
    /// Port of Eventzilla; 0 for any free one
    #[arg(long, default_value_t = 0)]
    port_eventzilla: u16,
    /// Port of See Tickets; 0 for any free one
    #[arg(long, default_value_t = 0)]
    port_see_tickets: u16,
    /// Port of Ticketmaster; 0 for any free one
    #[arg(long, default_value_t = 0)]
    port_ticketmaster: u16,
    /// Port of Xurrent; 0 for any free one
    #[arg(long, default_value_t = 0)]
    port_xurrent: u16,
    /// How many sales See Tickets has
    #[arg(long, default_value_t = 1_000)]
    see_tickets_sales: usize,
    /// How many events See Tickets has
    #[arg(long, default_value_t = 12)]
    see_tickets_events: usize,
    /// The last day that has sales, YYYY-MM-DD
    #[arg(long, default_value = "2026-11-20")]
    see_tickets_until: String,
    /// How many days have sales
    #[arg(long, default_value_t = 90)]
    see_tickets_days: u32,
    /// How many records See Tickets gives at most, whatever is asked for
    #[arg(long, default_value_t = 100)]
    see_tickets_page_cap: usize,
    /// How many sales lack their key or have wrong types
    #[arg(long, default_value_t = 0)]
    see_tickets_broken: usize,
    /// How many events Ticketmaster has
    #[arg(long, default_value_t = 2_000)]
    ticketmaster_events: usize,
    /// The day that Ticketmaster's calendar begins on, YYYY-MM-DDTHH:mm:ssZ
    #[arg(long, default_value = "2026-11-21T00:00:00Z")]
    ticketmaster_now: String,
    /// So many events at one moment in one country, for example 1500,2026-12-31T20:00:00Z,US
    #[arg(long, value_name = "COUNT,TIME,COUNTRY", value_parser = moment)]
    moment: Option<Moment>,
    /// The share of Ticketmaster's events that come, go or move while they are read
    #[arg(long, default_value_t = 0.0)]
    moving: f64,
    /// By which request the last of them has
    #[arg(long, default_value_t = 500)]
    moving_over: u32,
    /// Serve the recorded pages of this folder as Ticketmaster's catalogue
    #[arg(long, value_name = "DIR")]
    recordings: Option<PathBuf>,
    /// The share of requests that fail, in all ways
    #[arg(long, default_value_t = 0.0)]
    fail_ratio: f64,
    /// How many milliseconds an answer takes at least
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
    /// Enforce 5 requests a second and 5,000 a day; of Xurrent, 20 in 2 seconds and 3,600 an hour
    #[arg(long)]
    enforce_rate: bool,
    /// End when standard input does: with the program that started this one, however that ends
    #[arg(long)]
    until_stdin_closes: bool,
}

fn moment(text: &str) -> Result<Moment, String> {
    let parts: Vec<&str> = text.split(',').collect();
    let [count, at, country] = parts[..] else { return Err("expected COUNT,TIME,COUNTRY".into()) };
    let count = count.parse().map_err(|_| format!("not a count: {count}"))?;
    Ok(Moment { count, at: at.into(), country: country.into() })
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match serve(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sandbox: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(arguments: &Arguments) -> io::Result<()> {
    let event_api = start_event_api(arguments)?;
    let eventzilla = start_eventzilla(arguments)?;
    let (see_tickets, ticketmaster) = start(arguments)?;
    let xurrent = start_xurrent(arguments)?;
    let line = serde_json::json!({
        "event_api": event_api.base_url,
        "eventzilla": eventzilla.base_url,
        "see_tickets": see_tickets.base_url,
        "ticketmaster": ticketmaster.base_url,
        "xurrent": xurrent.base_url,
        "api_key": arguments.api_key,
    });
    let mut stdout = io::stdout();
    writeln!(stdout, "{line}")?;
    stdout.flush()?;
    if arguments.until_stdin_closes {
        let mut ignored = [0; 1_024];
        while io::stdin().read(&mut ignored)? > 0 {}
        return Ok(());
    }
    loop {
        std::thread::park();
    }
}

fn start_event_api(arguments: &Arguments) -> io::Result<Server> {
    event_api::start_blocking(event_api::Options {
        seed: arguments.seed,
        api_key: arguments.api_key.clone(),
        port: arguments.port_event_api,
        latency: Duration::from_millis(arguments.latency_ms),
        faults: Faults { fail_ratio: arguments.fail_ratio, ..Faults::default() },
        enforce_rate: arguments.enforce_rate.then(Rate::default),
        ..event_api::Options::default()
    })
}

fn start_eventzilla(arguments: &Arguments) -> io::Result<Server> {
    eventzilla::start_blocking(eventzilla::Options {
        seed: arguments.seed,
        api_key: arguments.api_key.clone(),
        port: arguments.port_eventzilla,
        latency: Duration::from_millis(arguments.latency_ms),
        faults: Faults { fail_ratio: arguments.fail_ratio, ..Faults::default() },
        enforce_rate: arguments.enforce_rate.then(Rate::default),
        ..eventzilla::Options::default()
    })
}

fn start(arguments: &Arguments) -> io::Result<(Server, Server)> {
    let faults = Faults { fail_ratio: arguments.fail_ratio, ..Faults::default() };
    let latency = Duration::from_millis(arguments.latency_ms);
    let enforce_rate = arguments.enforce_rate.then(Rate::default);
    let see_tickets = see_tickets::start_blocking(see_tickets::Options {
        seed: arguments.seed,
        sales: arguments.see_tickets_sales,
        events: arguments.see_tickets_events,
        until: arguments.see_tickets_until.clone(),
        days: arguments.see_tickets_days,
        page_cap: arguments.see_tickets_page_cap,
        broken: arguments.see_tickets_broken,
        api_key: arguments.api_key.clone(),
        port: arguments.port_see_tickets,
        latency,
        faults: faults.clone(),
        enforce_rate: enforce_rate.clone(),
        ..see_tickets::Options::default()
    })?;
    let ticketmaster = ticketmaster::start_blocking(ticketmaster::Options {
        seed: arguments.seed,
        events: arguments.ticketmaster_events,
        now: arguments.ticketmaster_now.clone(),
        moment: arguments.moment.clone(),
        moving: arguments.moving,
        moving_over: arguments.moving_over,
        recordings: arguments.recordings.clone(),
        api_key: arguments.api_key.clone(),
        port: arguments.port_ticketmaster,
        latency,
        faults,
        enforce_rate,
        ..ticketmaster::Options::default()
    })?;
    Ok((see_tickets, ticketmaster))
}

fn start_xurrent(arguments: &Arguments) -> io::Result<Server> {
    xurrent::start_blocking(xurrent::Options {
        seed: arguments.seed,
        api_key: arguments.api_key.clone(),
        port: arguments.port_xurrent,
        latency: Duration::from_millis(arguments.latency_ms),
        faults: Faults { fail_ratio: arguments.fail_ratio, ..Faults::default() },
        enforce_rate: arguments.enforce_rate.then(xurrent::limits),
        ..xurrent::Options::default()
    })
}
