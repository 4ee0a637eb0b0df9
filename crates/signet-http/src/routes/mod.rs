//! The routes, one file each: what it takes, what it answers, how it is documented, and the handler.

mod audit_trail;
mod docs;
mod get_user;
mod list_users;
mod register_user;
mod remove_user;
mod update_user;
mod user;

use std::{borrow::Cow, sync::Arc};

use actix_web::{
    App, Error, HttpRequest, Resource,
    body::BoxBody,
    dev::{ServiceFactory, ServiceRequest, ServiceResponse},
    guard,
    http::{Method, header::HeaderMap},
    web::{self, Payload, ServiceConfig},
};
use signet_application::Request;

pub(crate) use self::{
    audit_trail::{AuditEntryBody, CursorPagination},
    list_users::PaginationBody,
    remove_user::RemovedUserBody,
    user::UserBody,
};
use crate::{
    Api, Shared, cors,
    envelope::Answer,
    error::{Code, Detail, Failure},
    exchange::Exchange,
    fields::Fields,
    observe::observe,
    query,
};

/// What the operations' handlers and documentation are registered as, in the order of the document.
pub(crate) mod operations {
    pub(crate) use super::{
        audit_trail::{__path_list_audit_trail, list_audit_trail},
        get_user::{__path_get_user, get_user},
        list_users::{__path_list_users, list_users},
        register_user::{__path_register_user, register_user},
        remove_user::{__path_remove_user, remove_user},
        update_user::{__path_update_user, update_user},
    };
}

/// Where the operations live; the documented paths are relative to it.
pub(crate) const BASE: &str = "/partner/v1";

/// What the metrics and the log call a request for a path that is no route.
pub(crate) const NO_ROUTE: &str = "none";

/// The application of one worker.
pub(crate) fn app(
    shared: &Arc<Shared>,
) -> App<
    impl ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse<BoxBody>, Error = Error, InitError = ()>
    + use<>,
> {
    let unrouted = Arc::clone(shared);
    App::new()
        .service(operation(shared, Method::POST, "/partner/v1/register-user", operations::register_user))
        .service(operation(shared, Method::GET, "/partner/v1/all-users", operations::list_users))
        .service(operation(shared, Method::GET, "/partner/v1/get-user", operations::get_user))
        .service(operation(shared, Method::PATCH, "/partner/v1/update-user", operations::update_user))
        .service(operation(shared, Method::DELETE, "/partner/v1/remove-user", operations::remove_user))
        .service(operation(shared, Method::GET, "/partner/v1/audit-trail", operations::list_audit_trail))
        .service(resource(shared, Method::GET, "/openapi.json", async |exchange: &Exchange| {
            Ok(docs::openapi_json(exchange))
        }))
        .service(resource(shared, Method::GET, "/openapi.yaml", async |exchange: &Exchange| {
            Ok(docs::openapi_yaml(exchange))
        }))
        .configure(|services| {
            if shared.options.docs {
                pages(shared, services);
            }
        })
        .default_service(web::to(move |http: HttpRequest, payload: Payload| {
            let shared = Arc::clone(&unrouted);
            let handle = async |_: &Exchange| -> Answer { Err(Failure::new(Code::RouteNotFound)) };
            async move { observe(shared, NO_ROUTE, http, payload, handle).await }
        }))
}

/// The pages for browsers.
fn pages(shared: &Arc<Shared>, services: &mut ServiceConfig) {
    let home = resource(shared, Method::GET, "/", async |exchange: &Exchange| Ok(docs::home(exchange)));
    services
        .service(home.guard(guard::fn_guard(docs::is_browser)))
        .service(resource(shared, Method::GET, "/docs", async |exchange: &Exchange| Ok(docs::page(exchange))))
        .service(resource(shared, Method::GET, "/docs/", async |_: &Exchange| Ok(docs::redirect())))
        .service(resource(shared, Method::GET, "/docs/{asset}", docs::asset));
}

/// A call of an operation by somebody known.
pub(crate) struct Call<'a> {
    pub(crate) exchange: &'a Exchange,
    pub(crate) request: Request,
}

impl Call<'_> {
    /// The use cases.
    fn api(&self) -> &Api {
        &self.exchange.shared.api
    }

    /// Fails early, before a page is read that would be too much with all that is not read by its clients yet.
    fn ensure_room_for_page(&self) -> Result<(), Failure> {
        self.exchange.shared.response_memory.ensure_room(self.request.caller.partner_id)
    }

    /// The parameters of the query.
    fn query(&self) -> Fields<'_, Cow<'_, str>> {
        query::parameters(self.exchange.http.query_string())
    }
}

/// A resource that wants an API key.
fn operation<H>(shared: &Arc<Shared>, method: Method, path: &'static str, handle: H) -> Resource
where
    H: AsyncFn(Call<'_>) -> Answer + Copy + 'static,
{
    resource(shared, method, path, async move |exchange: &Exchange| {
        let request = exchange.authenticate().await?;
        handle(Call { exchange, request }).await
    })
}

/// A resource with one method. `HEAD` goes with `GET` (RFC 9110, section 9.1): the server leaves the body out.
fn resource<H>(shared: &Arc<Shared>, method: Method, path: &'static str, handle: H) -> Resource
where
    H: AsyncFn(&Exchange) -> Answer + Clone + 'static,
{
    let shared = Arc::clone(shared);
    web::resource(path).to(move |http: HttpRequest, payload: Payload| {
        let (shared, method, handle) = (Arc::clone(&shared), method.clone(), handle.clone());
        observe(shared, path, http, payload, async move |exchange: &Exchange| {
            reject_method_override(exchange.http.headers(), &method)?;
            let asked = exchange.http.method();
            if *asked == method || (*asked == Method::HEAD && method == Method::GET) {
                return handle(exchange).await;
            }
            let methods = match method {
                Method::GET => "GET, HEAD",
                Method::POST => "POST",
                Method::PATCH => "PATCH",
                _ => "DELETE",
            };
            let preflight = cors::preflight(&exchange.http, &exchange.shared.options.cors_origins, methods);
            preflight.ok_or_else(|| Failure::method_not_allowed(methods))
        })
    })
}

/// Rejects the headers by which some clients ask for another method than that of the request line. The method that the
/// request line names would be served otherwise, which is not what the client meant.
fn reject_method_override(headers: &HeaderMap, method: &Method) -> Result<(), Failure> {
    let sent = ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"];
    let sent = sent.into_iter().filter(|name| headers.contains_key(*name));
    let details: Vec<_> = sent
        .map(|name| Detail::new(name, format!("is not supported: send the request as {method} without it")))
        .collect();
    if details.is_empty() { Ok(()) } else { Err(Failure::validation(details)) }
}
