/* message.c: packs and reads the lines between master and worker. */
#include "message.h"
#include <yyjson.h>
#include "base/err.h"

static const char *text_of(yyjson_val *object, const char *name, arena_t *arena) {
    yyjson_val *value = yyjson_obj_get(object, name);
    if (!yyjson_is_str(value)) return NULL;
    return arena_dup(arena, yyjson_get_str(value), yyjson_get_len(value));
}

static void read_fields(yyjson_val *object, arena_t *arena, message_t *out) {
    out->verb = text_of(object, "do", arena);
    out->answer = !out->verb;
    if (out->answer) out->verb = text_of(object, "did", arena);
    yyjson_val *ok = yyjson_obj_get(object, "ok");
    out->ok = !ok || yyjson_get_bool(ok);
    out->id = yyjson_get_sint(yyjson_obj_get(object, "id"));
    out->tenant = text_of(object, "tenant", arena);
    out->path = text_of(object, "path", arena);
    out->hash = text_of(object, "hash", arena);
    out->error = text_of(object, "error", arena);
    out->change = text_of(object, "change", arena);
    out->before = text_of(object, "before", arena);
    out->fd = -1;
}

int message_parse(span_t line, arena_t *arena, message_t *out) {
    yyjson_doc *doc = yyjson_read(line.ptr, line.len, 0);
    if (!doc) return ERR_BAD_JSON;
    read_fields(yyjson_doc_get_root(doc), arena, out);
    yyjson_doc_free(doc);
    return out->verb ? 0 : ERR_BAD_JSON;
}

static void put(buf_t *out, const char *name, const char *text) {
    if (!text) return;
    buf_printf(out, ",\"%s\":", name);
    buf_json(out, span_of(text));
}

void message_write(const message_t *message, buf_t *out) {
    buf_text(out, message->answer ? "{\"did\":" : "{\"do\":");
    buf_json(out, span_of(message->verb));
    if (message->id) buf_printf(out, ",\"id\":%lld", (long long)message->id);
    if (message->answer) buf_text(out, message->ok ? ",\"ok\":true" : ",\"ok\":false");
    put(out, "tenant", message->tenant);
    put(out, "path", message->path);
    put(out, "hash", message->hash);
    put(out, "error", message->error);
    put(out, "change", message->change);
    put(out, "before", message->before);
    buf_text(out, "}\n");
}
