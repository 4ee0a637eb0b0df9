//! `signet serve`: everything put together, started in an order that answers early and stopped in one that answers all.

use std::{
    net::{SocketAddr, TcpListener},
    num::NonZeroUsize,
    sync::Arc,
};

use actix_web::dev::ServerHandle;
use arc_swap::ArcSwap;
use signet_application::{
    api_keys::{VerifiedKeys, VerifyApiKey},
    audit::ListAuditTrail,
    users::{GetUser, ListUsers, RegisterUser, RemoveUser, UpdateUser},
};
use signet_domain::ports::{Clock, IdGenerator, SecretHasher};
use signet_http::{
    Api, Metrics, Options, RateLimit,
    serve::{Limits, Serving, TlsConfig},
};
use tokio::sync::Notify;
use tracing_appender::non_blocking::ErrorCounter;

use crate::{
    backend::Backend,
    cli::{ServeArgs, TlsArg},
    demo,
    error::Failure,
    management::{self, Phase, State},
    signals::Signals,
    system::{Argon2Hasher, RandomIds, SystemClock},
    telemetry, tls,
};

/// File descriptors that are no client's: databases, certificates, logs, the management listener.
const OTHER_FILES: u64 = 512;

/// Serves until a signal asks to stop.
pub(crate) fn run(args: ServeArgs, warnings: &[String]) -> Result<(), Failure> {
    args.check()?;
    // Lives until the end, so that the last lines are written.
    let telemetry = telemetry::start(args.logging.log_format, args.logging.log.clone())?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    args.warn_of_what_is_allowed();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::runtime("cannot start the runtime", error))?;
    let done = runtime.block_on(serve(args, telemetry.lost_lines()));
    // A thread that hangs on a frozen database must not keep the process.
    runtime.shutdown_background();
    done
}

async fn serve(args: ServeArgs, lost_lines: ErrorCounter) -> Result<(), Failure> {
    let reload = Arc::new(Notify::new());
    let mut signals =
        Signals::listen(Arc::clone(&reload)).map_err(|error| Failure::runtime("cannot listen to signals", error))?;
    let (delay, grace) = (args.shutdown_delay, args.drain_timeout);
    let running = tokio::select! {
        running = start(args, lost_lines, reload) => running?,
        signal = signals.stop() => {
            tracing::info!(signal, "stopped before the start was complete");
            return Ok(());
        }
    };
    let Running { serving, state, management } = running;
    let handle = serving.handle();
    let serving = tokio::spawn(serving);
    let signal = tokio::select! {
        signal = signals.stop() => signal,
        ended = serving => return Err(Failure::Runtime(match ended {
            Ok(Err(error)) => format!("the server ended by itself: {error}"),
            _ => "the server ended by itself".to_owned(),
        })),
    };
    tracing::info!(signal, "stopping");
    // Load balancers learn first that they should send no more.
    state.enter(Phase::Stopping);
    let drained = async {
        tokio::time::sleep(delay).await;
        handle.stop(grace).await;
    };
    tokio::select! {
        () = drained => {
            state.close_database();
            tracing::info!("stopped");
        }
        signal = signals.stop() => tracing::warn!(signal, "stopped at once, on the second signal"),
    }
    management.stop(false).await;
    Ok(())
}

struct Running {
    serving: Serving,
    state: Arc<State>,
    management: ServerHandle,
}

async fn start(args: ServeArgs, lost_lines: ErrorCounter, reload: Arc<Notify>) -> Result<Running, Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ids: Arc<dyn IdGenerator> = Arc::new(RandomIds);
    let hasher = Argon2Hasher::start().map_err(|error| Failure::runtime("cannot start a thread", error))?;
    let hasher: Arc<dyn SecretHasher> = Arc::new(hasher);
    let verified = Arc::new(VerifiedKeys::default());
    let metrics = Metrics::default();
    let expiry = tls::Expiry::default();

    // First of all, so that the process is seen to live while it waits for its database.
    let state = Arc::new(State::new(&metrics, Arc::clone(&verified), lost_lines, expiry.clone()));
    let (listener, address) = bind(args.management.management_listen)?;
    let management = management::start(listener, Arc::clone(&state))
        .map_err(|error| Failure::runtime("cannot serve the management listener", error))?;
    tracing::info!(listener = "management", %address, url = %format!("http://{address}"), "listening");

    let tls = load_tls(&args, &clock, expiry, reload)?;
    let backend = args.database.open(args.database_threads.map(u16::from)).await?;
    state.opened(backend.clone());
    // Only now, so that nobody is connected to a service that cannot answer yet.
    let (listener, address) = bind(args.listen)?;

    let base_url = demo::base_url(address, tls.is_some());
    let api = api(&backend, &hasher, &clock, &ids, verified);
    let serving = signet_http::serve::serve(listener, tls, Arc::new(api), options(&args), limits(&args), metrics)
        .map_err(|error| Failure::runtime("cannot serve", error))?;
    state.enter(Phase::Serving);
    tracing::info!(listener = "api", %address, url = base_url, "listening");

    if args.demo
        && let Some(token) = demo::create(&backend, hasher, clock, ids).await?
    {
        demo::introduce(&mut std::io::stdout().lock(), &token, &base_url)
            .map_err(|error| Failure::runtime("cannot write to stdout", error))?;
    }
    Ok(Running { serving, state, management })
}

/// The listener, and the address that it has: port 0 means a free one.
fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Failure> {
    let bound =
        TcpListener::bind(address).and_then(|listener| listener.local_addr().map(|address| (listener, address)));
    bound.map_err(|error| Failure::runtime(&format!("cannot listen on {address}"), error))
}

/// The certificate to serve, kept up to date from now on; `None` for plain HTTP.
fn load_tls(
    args: &ServeArgs,
    clock: &Arc<dyn Clock>,
    expiry: tls::Expiry,
    reload: Arc<Notify>,
) -> Result<Option<TlsConfig>, Failure> {
    let failed = |error: tls::TlsError| Failure::runtime("cannot serve TLS", error);
    let files = match &args.tls {
        TlsArg::Off => return Ok(None),
        TlsArg::Files(files) => files.clone(),
        TlsArg::SelfSigned => {
            let directory = args.tls_dir.clone();
            let directory =
                directory.unwrap_or_else(|| args.database.place.location.url().directory().join("signet-tls"));
            tls::ensure_self_signed(&directory, clock.now()).map_err(failed)?
        }
    };
    if files.key_is_public() {
        if !args.allow_readable_key {
            return Err(Failure::Runtime(format!(
                "cannot serve TLS: every user of this machine can read the private key {key}; chmod o-r {key}, or add \
                 --allow-readable-key",
                key = files.key.display()
            )));
        }
        tracing::warn!(option = "--allow-readable-key", "every user of this machine can read the private key");
    }
    let (watch, config) = tls::Watch::start(files, &expiry).map_err(failed)?;
    let config = Arc::new(ArcSwap::from_pointee(config));
    tokio::spawn(tls::keep_fresh(watch, Arc::clone(&config), expiry, reload, Arc::clone(clock)));
    Ok(Some(config))
}

fn api(
    backend: &Backend,
    hasher: &Arc<dyn SecretHasher>,
    clock: &Arc<dyn Clock>,
    ids: &Arc<dyn IdGenerator>,
    verified: Arc<VerifiedKeys>,
) -> Api {
    let Backend { users, audit, keys, .. } = backend;
    Api {
        register_user: RegisterUser::new(users.clone(), clock.clone(), ids.clone()),
        list_users: ListUsers::new(users.clone()),
        get_user: GetUser::new(users.clone()),
        update_user: UpdateUser::new(users.clone(), clock.clone(), ids.clone()),
        remove_user: RemoveUser::new(users.clone(), clock.clone(), ids.clone()),
        list_audit_trail: ListAuditTrail::new(audit.clone()),
        verify_api_key: VerifyApiKey::new(keys.clone(), hasher.clone(), clock.clone(), verified),
        ids: ids.clone(),
    }
}

fn options(args: &ServeArgs) -> Options {
    Options {
        trusted_proxies: args.trusted_proxy.clone(),
        rate_limit: args.rate_limit.map(|limit| RateLimit { per_second: limit.per_second, burst: limit.burst }),
        log_client_address: args.logging.log_client_address,
        cors_origins: args.browsers.cors_origin.clone(),
        docs: args.browsers.docs,
        hsts: args.browsers.hsts,
        ..Options::with_body_deadline(args.body_timeout)
    }
}

fn limits(args: &ServeArgs) -> Limits {
    let defaults = Limits::default();
    Limits {
        head: args.head_timeout,
        request: Limits::request_for(options(args).deadline),
        write_stall: args.write_timeout,
        idle: args.idle_timeout,
        connections: affordable(args.max_connections.get()),
        connections_per_address: args.max_connections_per_address.map(NonZeroUsize::from),
        workers: args.workers.map_or(defaults.workers, usize::from),
        ..defaults
    }
}

/// As many connections as were asked for, or as the system allows: the limit of open files is raised as far as it may.
/// A server that runs out of files cannot even refuse a client.
fn affordable(connections: u16) -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let wanted = u64::from(connections) + OTHER_FILES;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = wanted.min(maximum.unwrap_or(u64::MAX));
    let files = match current {
        Some(files) if files < wanted => match setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum }) {
            Ok(()) => raised,
            Err(_) => files,
        },
        _ => wanted,
    };
    let affordable = files.saturating_sub(OTHER_FILES).clamp(1, u64::from(connections));
    if affordable < u64::from(connections) {
        tracing::warn!(
            connections = affordable,
            open_files = files,
            "fewer connections than asked for: raise ulimit -n"
        );
    }
    usize::try_from(affordable).unwrap_or(usize::from(connections))
}
