//! What the engine tells about a value, for `util.inspect` and `util.isDeepStrictEqual`.

use deno_core::op2;
use deno_core::v8;

/// `[entries, isKeyValue]` of a collection or its iterator; `undefined` for other objects.
#[op2]
pub fn op_node_preview_entries<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    object: v8::Local<'s, v8::Object>,
) -> v8::Local<'s, v8::Value> {
    let (entries, is_key_value) = object.preview_entries(scope);
    let Some(entries) = entries else { return v8::undefined(scope).into() };
    let is_key_value = v8::Boolean::new(scope, is_key_value).into();
    v8::Array::new_with_elements(scope, &[entries.into(), is_key_value]).into()
}

/// The name of the function that made an object, as the engine knows it.
#[op2]
pub fn op_node_constructor_name<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    object: v8::Local<'s, v8::Object>,
) -> v8::Local<'s, v8::Value> {
    let name = object.get_constructor_name();
    v8::Local::new(scope, name).into()
}
