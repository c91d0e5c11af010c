//! Starts the media server: reads the options, opens the sockets, and ends on SIGINT and SIGTERM.

use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use partyline_media::args::{Args, Command};
use partyline_media::engine::Engine;
use partyline_media::http::{Api, serve};
use partyline_media::server;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

/// The maximum number of requests that wait for the engine.
const MAX_COMMANDS: usize = 256;

fn main() -> ExitCode {
    let secret = std::env::var("MEDIA_SECRET").ok();
    let result = match Args::parse(std::env::args_os().skip(1), secret) {
        Ok(Command::Print(text)) => {
            print!("{text}");
            Ok(())
        }
        Ok(Command::Serve(args)) => run(&args),
        Err(error) => Err(error),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("partyline-media: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), String> {
    start_log(args.log);
    let text = |what: String| move |error: std::io::Error| format!("{what}: {error}");
    let socket = server::bind(args.udp).map_err(text(format!("--udp {}", args.udp)))?;
    let udp = socket.local_addr().map_err(text("--udp".into()))?;
    // Port 0 stands for the port that the system chose.
    let mut public = args.public_address.unwrap_or(udp);
    if public.port() == 0 {
        public.set_port(udp.port());
    }
    let engine = Engine::new(public, args.limits.clone());
    let (commands, inbox) = mpsc::channel(MAX_COMMANDS);
    let runtime = runtime()?;
    let listener = runtime.block_on(TcpListener::bind(args.listen));
    let listener = listener.map_err(text(format!("--listen {}", args.listen)))?;
    let http = listener.local_addr().map_err(text("--listen".into()))?;
    // Media has a thread of its own, so that HTTP requests do not delay it.
    let media = runtime_thread(engine, socket, inbox)?;
    tracing::info!(%http, %udp, public_address = %public, app = args.app, "listening");

    let api = Api {
        app: args.app.clone(),
        secret: args.secret.clone(),
        commands: commands.clone(),
    };
    runtime.block_on(async {
        tokio::select! {
            () = serve(listener, Arc::new(api)) => {}
            reason = end() => tracing::info!(reason, "shutting down"),
            () = stdin_end(args.end_with_stdin) => {
                tracing::info!(reason = "standard input closed", "shutting down");
            }
            () = commands.closed() => {}
        }
        let _ = commands.send(server::Command::ShutDown).await;
    });
    match media.join() {
        Ok(result) => result.map_err(text("the UDP socket failed".into())),
        Err(_) => Err("the media thread ended by a panic. The log has its message.".into()),
    }
}

fn runtime_thread(
    engine: Engine,
    socket: std::net::UdpSocket,
    inbox: mpsc::Receiver<server::Command>,
) -> Result<thread::JoinHandle<std::io::Result<()>>, String> {
    let runtime = runtime()?;
    let thread = thread::Builder::new().name("media".into());
    thread
        .spawn(move || runtime.block_on(server::run(engine, socket, inbox)))
        .map_err(|error| format!("the media thread did not start: {error}"))
}

fn runtime() -> Result<Runtime, String> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| format!("the runtime did not start: {error}"))
}

/// Logs to standard error, one JSON object a line.
fn start_log(level: tracing::Level) {
    // Warnings of the libraries are often about what a stranger sent, who could fill the disk.
    let libraries = if level == tracing::Level::DEBUG {
        level
    } else {
        tracing::Level::ERROR
    };
    let filter = Targets::new()
        .with_target("partyline_media", level)
        .with_default(libraries);
    let layer = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_writer(std::io::stderr)
        .with_filter(filter);
    tracing_subscriber::registry().with(layer).init();
    std::panic::set_hook(Box::new(|panic| tracing::error!(%panic, "panic")));
}

/// Waits for a signal to end, and returns its name.
#[cfg(unix)]
async fn end() -> &'static str {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = tokio::signal::ctrl_c() => "SIGINT",
        },
        Err(_) => ctrl_c().await,
    }
}

/// Waits until standard input closes. The system closes it when the program that started this one ends,
/// whatever the reason. Without `wanted`, waits for ever.
async fn stdin_end(wanted: bool) {
    let (ended, end) = tokio::sync::oneshot::channel::<()>();
    if wanted {
        // Reading cannot be cancelled, so it has a thread of its own, which nobody waits for.
        thread::spawn(move || {
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            drop(ended);
        });
        let _ = end.await;
    } else {
        std::future::pending().await
    }
}

#[cfg(not(unix))]
async fn end() -> &'static str {
    ctrl_c().await
}

async fn ctrl_c() -> &'static str {
    let _ = tokio::signal::ctrl_c().await;
    "SIGINT"
}
