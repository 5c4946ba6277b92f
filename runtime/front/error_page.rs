//! Error answers: a small page for browsers, JSON for everyone else, and never more detail than the operator allows.

use std::fmt::Write;

use bytes::Bytes;
use holm_isolate::Body;
use holm_isolate::RequestId;
use http::HeaderName;
use http::HeaderValue;
use http::Response;
use http::header;

use crate::options::ErrorDetail;
use crate::status::Problem;
use crate::status::Verdict;

/// The stable code of the error; only the front sets it.
pub(crate) const ERROR_CODE: HeaderName = HeaderName::from_static("x-holm-error");
/// The id that the log has too.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-holm-request-id");

/// In what form the client takes an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    #[default]
    Json,
    Html,
}

/// The answer for `problem`.
pub(crate) fn answer(problem: &Problem, id: RequestId, format: Format, detail: ErrorDetail) -> Response<Body> {
    let verdict = problem.verdict();
    let told = match (detail, problem) {
        (ErrorDetail::Full, Problem::Failed(failure)) => Some((failure.message.as_str(), failure.stack.as_deref())),
        (ErrorDetail::Full, Problem::Refused(_)) | (ErrorDetail::Code, _) => None,
    };
    let (content_type, text) = match format {
        Format::Html => ("text/html; charset=utf-8", html(&verdict, id, told)),
        Format::Json => ("application/json", json(&verdict, id, told)),
    };
    let mut response = Response::new(Body::Bytes(Bytes::from(text)));
    *response.status_mut() = verdict.status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(ERROR_CODE, HeaderValue::from_static(verdict.code));
    if let Ok(id) = HeaderValue::try_from(id.to_string()) {
        headers.insert(REQUEST_ID, id);
    }
    if let Some(seconds) = verdict.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

type Told<'a> = Option<(&'a str, Option<&'a str>)>;

fn json(verdict: &Verdict, id: RequestId, told: Told<'_>) -> String {
    let mut page = serde_json::json!({ "error": verdict.code, "request_id": id.to_string() });
    if let Some((message, stack)) = told {
        page["message"] = message.into();
        page["stack"] = stack.into();
    }
    page.to_string()
}

fn html(verdict: &Verdict, id: RequestId, told: Told<'_>) -> String {
    let detail = told.map_or_else(String::new, |(message, stack)| {
        let stack = stack.map_or_else(String::new, |stack| format!("<pre>{}</pre>\n", Escaped(stack)));
        format!("<p><strong>{}</strong></p>\n{stack}", Escaped(message))
    });
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{status}</title>\n\
         <style>body{{font:16px/1.5 system-ui,sans-serif;margin:10vh auto;max-width:44rem;padding:0 1rem}}\
         pre{{overflow:auto;padding:1rem;background:#8881}}small{{opacity:.6}}</style>\n\
         <h1>{status}</h1>\n<p>{explanation}</p>\n{detail}<p><small>{code} · {id}</small></p>\n</html>\n",
        status = verdict.status,
        explanation = Escaped(&verdict.explanation),
        code = verdict.code,
    )
}

/// Text that stays text inside an HTML element or a quoted attribute.
struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use holm_isolate::Failure;
    use holm_isolate::Outcome;

    use super::*;

    fn page(format: Format, detail: ErrorDetail) -> String {
        let mut failure = Failure::new(Outcome::Exception, "no <b> & \"quotes\"");
        failure.stack = Some("Error\n    at <script>alert(1)</script>".into());
        match answer(&Problem::Failed(failure), RequestId::next(), format, detail).into_body() {
            Body::Bytes(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
            Body::Empty | Body::Stream(_) => panic!("an error answer is buffered"),
        }
    }

    #[test]
    fn a_stranger_sees_neither_message_nor_stack() {
        for format in [Format::Html, Format::Json] {
            let page = page(format, ErrorDetail::Code);
            assert!(page.contains("exception") && !page.contains("quotes") && !page.contains("alert"), "{page}");
        }
    }

    #[test]
    fn the_author_sees_both_and_nothing_of_them_is_markup() {
        let html = page(Format::Html, ErrorDetail::Full);
        assert!(html.contains("no &lt;b&gt; &amp; &quot;quotes&quot;"), "{html}");
        assert!(html.contains("&lt;script&gt;alert(1)") && !html.contains("<script"), "{html}");
        let json: serde_json::Value = serde_json::from_str(&page(Format::Json, ErrorDetail::Full)).unwrap();
        assert_eq!(json["error"], "exception");
        assert_eq!(json["message"], "no <b> & \"quotes\"");
    }
}
