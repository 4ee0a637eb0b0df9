//! The values of the API as JSON Schema: what is sent and what is answered. Exact, as far as JSON Schema can say it.

use serde_json::Value;
use signet_domain::{Action, EmailAddress, Metadata, Name, Status, ports::Page};
use utoipa::openapi::{
    Object, ObjectBuilder, Ref, RefOr, Required, Schema, SchemaFormat, Type,
    path::{Parameter, ParameterBuilder, ParameterIn},
    schema::{AdditionalProperties, AnyOfBuilder, ArrayBuilder, SchemaType},
};

use super::examples;
use crate::error::Code;

/// An object that may get more members than those named: what is answered.
pub(crate) fn object() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Object)
}

/// An object that may have no other members than those named: what is sent.
pub(crate) fn strict_object() -> ObjectBuilder {
    object().additional_properties(Some(AdditionalProperties::FreeForm(false)))
}

pub(crate) fn array_of(item: impl Into<RefOr<Schema>>) -> ArrayBuilder {
    ArrayBuilder::new().items(item.into())
}

/// An optional query parameter.
pub(crate) fn query(name: &str, schema: impl Into<RefOr<Schema>>, description: &str) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(schema))
        .build()
}

fn string(description: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).description(Some(description))
}

fn integer(description: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer).description(Some(description))
}

fn formatted(builder: ObjectBuilder, format: &str) -> ObjectBuilder {
    builder.format(Some(SchemaFormat::Custom(format.to_owned())))
}

fn instant(description: &str) -> Object {
    formatted(string(description), "date-time")
        .pattern(Some(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$"))
        .examples([examples::REGISTERED_AT])
        .build()
}

fn reference(name: &str) -> Ref {
    Ref::from_schema_name(name)
}

pub(crate) fn user() -> Ref {
    reference("User")
}

pub(crate) fn removed_user() -> Ref {
    reference("RemovedUser")
}

pub(crate) fn pagination() -> Ref {
    reference("Pagination")
}

pub(crate) fn cursor_pagination() -> Ref {
    reference("CursorPagination")
}

pub(crate) fn audit_entry() -> Ref {
    reference("AuditEntry")
}

pub(crate) fn user_id() -> Object {
    formatted(string("Identifies the user."), "uuid").examples([examples::USER_ID]).build()
}

pub(crate) fn entry_id() -> Object {
    formatted(string("Identifies the entry."), "uuid").build()
}

pub(crate) fn name() -> Object {
    string("The display name: 1 to 200 characters once trimmed and in Unicode NFC, no control characters, at least one of them visible.")
        .min_length(Some(1))
        .max_length(Some(Name::MAX_CHARS))
        // At least one visible character. Not `\s` and `\p`, which are other sets in each language: what counts as
        // invisible is stated in signet-domain, and a test compares the two.
        .pattern(Some(
            concat!(
                r"^[^\u0000-\u001F\u007F-\u009F]*[^",
                r"\u0000-\u0020\u007F-\u00A0\u00AD\u034F\u0600-\u0605\u061C\u06DD\u070F\u0890-\u0891\u08E2\u115F-\u1160\u1680",
                r"\u17B4-\u17B5\u180B-\u180F\u2000-\u200F\u2028-\u202F\u205F-\u206F\u2800\u3000\u3164\uFE00-\uFE0F\uFEFF\uFFA0\uFFF0-\uFFFB",
                r"][^\u0000-\u001F\u007F-\u009F]*$",
            ),
        ))
        .examples(["John Doe"])
        .build()
}

pub(crate) fn email() -> Object {
    let description = "The e-mail address, in any script: at most 254 bytes once trimmed and in Unicode NFC, at most 64 of \
        them before the @. It is kept as given. It is unique among the partner's users, removed ones included: the part before \
        the @ without regard to case, the domain as IDNA compares it.";
    // With the letters of any script (RFC 6531) on both sides of the @.
    formatted(string(description), "idn-email")
        .min_length(Some(3))
        .max_length(Some(EmailAddress::MAX_BYTES))
        .examples([examples::EMAIL])
        .build()
}

pub(crate) fn status() -> Object {
    string("Whether the user may be verified.").enum_values(Some(Status::ALL.map(Status::as_str))).build()
}

pub(crate) fn inactive() -> Object {
    string("A removed user is inactive.").enum_values(Some([Status::Inactive.as_str()])).build()
}

pub(crate) fn metadata() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some("What the partner notes about the user: at most 16 KiB as compact JSON, 8 levels deep."))
        .property_names(Some(metadata_key()))
        .additional_properties(Some(reference("MetadataValue")))
        .max_properties(Some(Metadata::MAX_KEYS))
        .examples([examples::metadata()])
        .build()
}

pub(crate) fn metadata_patch() -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::Array(vec![Type::Object, Type::Null]))
        .description(Some(
            "A JSON Merge Patch (RFC 7396): `null` deletes a key, an object is merged, all else replaces. The result must \
             keep the limits of the metadata. `null` in place of the patch deletes all of it.",
        ))
        .property_names(Some(metadata_key()))
        .additional_properties(Some(reference("MetadataValue")))
        .examples([examples::metadata()])
        .build()
}

/// What metadata is made of.
pub(crate) fn metadata_value() -> RefOr<Schema> {
    let of = |kind: Type| ObjectBuilder::new().schema_type(kind);
    AnyOfBuilder::new()
        .description(Some("Any JSON value without U+0000."))
        .item(of(Type::Null))
        .item(of(Type::Boolean))
        .item(
            of(Type::Number)
                .description(Some("A 64-bit integer or a double; what is neither is refused, not rounded.")),
        )
        .item(text_without_nul("A text."))
        .item(array_of(reference("MetadataValue")))
        .item(
            of(Type::Object)
                .property_names(Some(text_without_nul("A key.")))
                .additional_properties(Some(reference("MetadataValue"))),
        )
        .into()
}

fn metadata_key() -> ObjectBuilder {
    text_without_nul("A key.").min_length(Some(1)).max_length(Some(Metadata::MAX_KEY_CHARS))
}

fn text_without_nul(description: &str) -> ObjectBuilder {
    string(description).pattern(Some(r"^[^\u0000]*$"))
}

pub(crate) fn registered_at() -> Object {
    instant("When the user was registered.")
}

pub(crate) fn updated_at() -> Object {
    instant("When the user last changed.")
}

pub(crate) fn removed_at() -> Object {
    instant("When the user was removed; present only while it is.")
}

pub(crate) fn occurred_at() -> Object {
    instant("When the change happened.")
}

pub(crate) fn limit() -> Object {
    integer("How many records were asked for at most.").minimum(Some(1)).maximum(Some(Page::MAX_LIMIT)).build()
}

pub(crate) fn offset() -> Object {
    formatted(integer("How many records were skipped."), "int64").minimum(Some(0)).build()
}

pub(crate) fn total() -> Object {
    formatted(integer("How many users the partner has, removed ones included."), "int64").minimum(Some(0)).build()
}

pub(crate) fn has_more() -> Object {
    ObjectBuilder::new().schema_type(Type::Boolean).description(Some("Whether there is a next page.")).build()
}

pub(crate) fn limit_parameter() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(1))
        .maximum(Some(Page::MAX_LIMIT))
        .default(Some(Value::from(Page::DEFAULT_LIMIT)))
        .build()
}

pub(crate) fn offset_parameter() -> Object {
    formatted(ObjectBuilder::new().schema_type(Type::Integer), "int64")
        .minimum(Some(0))
        .maximum(Some(i64::MAX))
        .default(Some(Value::from(0)))
        .build()
}

pub(crate) fn cursor() -> Object {
    string("Where the next page starts; of no meaning to anybody else.").pattern(Some("^[A-Za-z0-9_-]+$")).build()
}

pub(crate) fn action() -> Object {
    string("What happened to the user.").enum_values(Some(Action::ALL.map(Action::as_str))).build()
}

pub(crate) fn actor() -> Ref {
    reference("Actor")
}

/// Who made a change.
pub(crate) fn actor_schema() -> RefOr<Schema> {
    object()
        .description(Some("Who made the change."))
        .property("type", string("The kind of actor.").enum_values(Some(["api_key"])))
        .property("id", string("The public part of the API key.").pattern(Some("^[0-9A-Za-z]{16}$")))
        .property("name", string("What the key was called at that time."))
        .required("type")
        .required("id")
        .required("name")
        .into()
}

pub(crate) fn changes() -> Object {
    ["name", "email", "status", "metadata", "removedAt"]
        .into_iter()
        .fold(object().description(Some("The fields that changed.")), |changes, field| {
            changes.property(field, reference("FieldChange"))
        })
        .build()
}

/// The value of a field before and after.
pub(crate) fn field_change() -> RefOr<Schema> {
    let any = |description: &str| ObjectBuilder::new().schema_type(SchemaType::AnyValue).description(Some(description));
    object()
        .property("from", any("Before; null where there was nothing."))
        .property("to", any("After; null where there is nothing."))
        .required("from")
        .required("to")
        .into()
}

pub(crate) fn request_id() -> Object {
    string("Names the request.").pattern(Some("^[A-Za-z0-9._-]{1,128}$")).build()
}

pub(crate) fn ip_address() -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::Array(vec![Type::String, Type::Null]))
        .description(Some("Where the request came from, if that is known: an IPv4 or IPv6 address."))
        .build()
}

pub(crate) fn location() -> Object {
    formatted(string("A path."), "uri-reference").build()
}

/// The envelope of a refusal, by its name among the schemas of the document.
pub(crate) fn error_response() -> Ref {
    reference("ErrorResponse")
}

/// An open list, so that a new code breaks no client that is strict about values.
fn error_code() -> Object {
    let known = Code::ALL.map(|code| format!("`{}`", code.as_str())).join(", ");
    let description = format!(
        "What went wrong, for programs. Known codes: {known}. There may be more later: go by the status of one that you do not know."
    );
    string(&description).pattern(Some("^[a-z0-9_]+$")).examples(Code::ALL.map(Code::as_str)).build()
}

/// The envelope of a refusal, and what it is made of.
pub(crate) fn refusal() -> [(&'static str, RefOr<Schema>); 3] {
    let detail = object()
        .description(Some("A field that is to blame."))
        .property("field", string("The field, by its name in the request; `body` or `request` where it is no single one, or the name of a header."))
        .property("message", string("What is wrong with it."))
        .required("field")
        .required("message");
    let error = object()
        .description(Some("Why the request was refused."))
        .property("code", error_code())
        .property("requestId", request_id())
        .property("details", array_of(reference("ErrorDetail")).description(Some("Every field that is to blame.")))
        .property(
            "existingUserId",
            formatted(string("With `email_taken`: the partner's own user that has the address."), "uuid"),
        )
        .property(
            "existingUserStatus",
            string("With `email_taken`: the status of that user.").enum_values(Some(Status::ALL.map(Status::as_str))),
        )
        .property(
            "existingUserRemovedAt",
            instant("With `email_taken`: when that user was removed; present only while it is."),
        )
        .required("code")
        .required("requestId");
    let envelope = object()
        .description(Some("The request was refused."))
        .property("success", ObjectBuilder::new().schema_type(Type::Boolean).enum_values(Some([false])))
        .property("message", string("What went wrong, for people."))
        .property("error", reference("ErrorInfo"))
        .required("success")
        .required("message")
        .required("error");
    [("ErrorResponse", envelope.into()), ("ErrorInfo", error.into()), ("ErrorDetail", detail.into())]
}
