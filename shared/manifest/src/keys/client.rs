//! The keys of `client`: the address, the authentication, the rate limits.

use super::key::DefaultValue::{Described, Integer as Number, Text as Literal};
use super::key::Type::{
    Address, AnyOf, Integer, List, MapOf, Mapping as Is, Name, Nothing, OneOf, PositiveNumber, Scalar, Text,
    Variants as Chosen,
};
use super::key::{Key, Mapping, Type, Variants};
use super::paginator::PAGINATOR;

/// How the API is reached.
pub static CLIENT: Mapping = Mapping {
    name: "client",
    title: "`client`",
    description: "How the API is reached.",
    keys: &[
        Key::dlt(
            "base_url",
            Address,
            "The address that paths are appended to. It may hold `{settings.name}`. The variable `<SOURCE>_BASE_URL` or `--base-url` \
             replaces it.",
        )
        .required(),
        Key::dlt(
            "headers",
            MapOf(&Scalar),
            "Headers that are sent with every request. Their values may hold `{settings.name}`. A header of an endpoint with the same \
             name replaces them.",
        ),
        Key::dlt("auth", AUTHS, "How the API's key is sent. In a list, the first entry is used whose secrets are all given.")
            .or(Described("no key is sent")),
        Key::dlt("paginator", Chosen(&PAGINATOR), "How pages follow each other, for every endpoint without a `paginator`.")
            .or(Literal("auto")),
        Key::ours(
            "rate",
            AnyOf(&[Is(&RATE), List(&Is(&RATE_WINDOW))]),
            "How many requests the API allows. All limits are kept at once, also by functions that run at the same time, and what the \
             API's own rate limit headers say is taken into account.",
        )
        .or(Described("no limit")),
    ],
};

/// The value of `auth`: one way to send the key, or a list of them.
pub(super) const AUTHS: Type = AnyOf(&[Chosen(&AUTH), List(&Chosen(&AUTH))]);

/// One way to send the API's key.
pub static AUTH: Variants = Variants {
    name: "auth",
    title: "`auth`",
    description: "One way to send the API's key. The secrets are named, never written: `{$secret: api_key}`. A secret that is left out \
                  has the name of its key.",
    default: Some("bearer"),
    shorthand: true,
    mappings: &[&AUTH_BEARER, &AUTH_API_KEY, &AUTH_HTTP_BASIC, &AUTH_CLIENT_CREDENTIALS],
};

/// A bearer token.
pub static AUTH_BEARER: Mapping = Mapping {
    name: "auth_bearer",
    title: "`auth`: `bearer`",
    description: "The header `Authorization: Bearer <token>`.",
    keys: &[
        Key::type_of(&["bearer"]),
        Key::dlt("token", Is(&SECRET), "The token.").or(Described("the secret `token`")),
    ],
};

/// A key in a header or a query parameter.
pub static AUTH_API_KEY: Mapping = Mapping {
    name: "auth_api_key",
    title: "`auth`: `api_key`",
    description: "A key in a header or a query parameter.",
    keys: &[
        Key::type_of(&["api_key"]),
        Key::dlt("name", Text, "The name of the header or of the query parameter.").or(Literal("Authorization")),
        Key::dlt("api_key", Is(&SECRET), "The key.").or(Described("the secret `api_key`")),
        Key::dlt(
            "location",
            OneOf(&["header", "query", "param"]),
            "Where the key goes: into a header or into a query parameter. `param` means the same as `query`.",
        )
        .or(Literal("header")),
    ],
};

/// A user's name and password.
pub static AUTH_HTTP_BASIC: Mapping = Mapping {
    name: "auth_http_basic",
    title: "`auth`: `http_basic`",
    description: "The header `Authorization: Basic <username:password>`.",
    keys: &[
        Key::type_of(&["http_basic"]),
        Key::dlt(
            "username",
            AnyOf(&[Text, Nothing, Is(&SECRET)]),
            "The user's name, written as it is or named as a secret.",
        )
        .or(Described("the secret `username`")),
        Key::dlt("password", AnyOf(&[Is(&SECRET), Nothing]), "The password. The empty text means that there is none.")
            .or(Described("the secret `password`")),
    ],
};

/// A token that is requested with a client's id and secret.
pub static AUTH_CLIENT_CREDENTIALS: Mapping = Mapping {
    name: "auth_oauth2_client_credentials",
    title: "`auth`: `oauth2_client_credentials`",
    description: "A token that is requested with the client's id and secret (RFC 6749, 4.4), and requested again when it has expired or \
                  was refused.",
    keys: &[
        Key::type_of(&["oauth2_client_credentials"]),
        Key::dlt("access_token", Is(&SECRET), "A token to begin with, before one is requested."),
        Key::dlt(
            "access_token_url",
            Address,
            "The address that gives tokens. It may hold `{settings.name}`. The variable `<SOURCE>_TOKEN_URL` replaces it.",
        )
        .required(),
        Key::dlt("client_id", AnyOf(&[Text, Nothing, Is(&SECRET)]), "The client's id, written as it is or named as a secret.")
            .or(Described("the secret `client_id`")),
        Key::dlt("client_secret", Is(&SECRET), "The client's secret.").or(Described("the secret `client_secret`")),
        Key::dlt(
            "access_token_request_data",
            MapOf(&Scalar),
            "Fields that are sent with the request for a token, for example `scope`.",
        ),
        Key::dlt(
            "default_token_expiration",
            Integer { min: 1, max: 31_536_000 },
            "The seconds after which a token expires if the response does not say so.",
        )
        .or(Number(3600)),
    ],
};

/// The name of a secret.
pub static SECRET: Mapping = Mapping {
    name: "secret",
    title: "`$secret`",
    description: "A secret, by name. A secret that is written into the manifest is refused.",
    keys: &[
        Key::ours(
            "$secret",
            Name,
            "The name of the secret. Its value is in Secrets Manager (the variable `SECRET_ID`), or in the variable `<SOURCE>_<NAME>`.",
        )
        .required(),
    ],
};

/// Rate limits by unit of time.
pub static RATE: Mapping = Mapping {
    name: "rate",
    title: "`rate`",
    description: "Requests per unit of time. A fraction is allowed: `per_second: 0.5` is one request every 2 seconds.",
    keys: &[
        Key::ours("per_second", PositiveNumber, "The number of requests in a second."),
        Key::ours("per_minute", PositiveNumber, "The number of requests in a minute."),
        Key::ours("per_hour", PositiveNumber, "The number of requests in an hour."),
        Key::ours("per_day", PositiveNumber, "The number of requests in a day."),
    ],
};

/// A rate limit with a period of its own.
pub static RATE_WINDOW: Mapping = Mapping {
    name: "rate_window",
    title: "`rate` as a list",
    description: "A number of requests in a period of any length.",
    keys: &[
        Key::ours("requests", Integer { min: 1, max: u32::MAX as u64 }, "The number of requests in the period.")
            .required(),
        Key::ours("seconds", PositiveNumber, "The length of the period, at most 366 days.").required(),
    ],
};
