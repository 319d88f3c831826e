//! The `main` of every function: a Lambda function if there is a Lambda runtime, else a command line.

use std::process::ExitCode;

use manifest::Settings;

use crate::app::App;
use crate::cli;
use crate::error::Error;
use crate::telemetry;

/// The number of threads for files and for the names of hosts. More threads cost memory: the C library keeps the memory that each thread
/// has freed for that thread alone.
const BLOCKING_THREADS: usize = 2;

/// Runs the function that reads the resource `entity`. Without one, each request names its resource.
pub fn main(entity: Option<&'static str>) -> ExitCode {
    let settings = Settings::from_env();
    telemetry::init(&settings);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(BLOCKING_THREADS).build();
    let lambda = settings.in_lambda();
    let app = App::new(entity, settings);
    match runtime {
        Ok(runtime) if lambda => runtime.block_on(app.serve()),
        Ok(runtime) => runtime.block_on(cli::run(&app, std::env::args_os())),
        Err(error) => {
            let error = Error::Runtime(error.to_string());
            tracing::error!("{error}");
            ExitCode::from(error.exit_code())
        }
    }
}
