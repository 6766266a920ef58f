/* parse.c: llhttp's callbacks: tokens become spans, sizes are counted, a whole request pauses the parser. */
#include "net/conn.h"
#include "base/clock.h"
#include "base/err.h"

/* What a chunk's size line may cost beside the body before it counts as an attack: 8 digits, two line ends, slack. */
#define CHUNK_COST 16

static conn_t *owner(llhttp_t *parser) {
    return parser->data;
}

static int fail(conn_t *conn, int err, const char *detail) {
    conn->refusal = err;
    conn->detail = detail;
    return -1;
}

static uint64_t position(const conn_t *conn, const char *at) {
    return conn->offset + (uint64_t)(at - conn->net->window.ptr);
}

/* Fragments of one token follow each other, within a window and, through `part`, across windows. */
static void token_add(slot_t *slot, const char *at, size_t len) {
    if (slot->part.len > 0) {
        buf_put(&slot->part, at, len);
    } else if (slot->token.len == 0) {
        slot->token = (span_t){at, len};
    } else {
        slot->token.len += len;
    }
}

static span_t token_end(slot_t *slot) {
    span_t token = slot->token;
    if (slot->part.len > 0) {
        token.len = slot->part.len;
        token.ptr = arena_dup(&slot->x.arena, slot->part.ptr, token.len);
        buf_reset(&slot->part);
    }
    slot->token = (span_t){NULL, 0};
    /* A field that is there but empty is told from a missing one by its pointer. */
    return token.len == 0 ? (span_t){"", 0} : token;
}

static int on_message_begin(llhttp_t *parser) {
    conn_t *conn = owner(parser);
    if (conn->net->read_ns == 0) conn->net->read_ns = clock_mono_ns();
    conn->current = slot_take(conn);
    if (conn->current == NULL) return fail(conn, ERR_NO_MEMORY, NULL);
    conn_enter(conn, READ_HEAD);
    return 0;
}

static int on_method(llhttp_t *parser, const char *at, size_t len) {
    conn_t *conn = owner(parser);
    slot_t *slot = conn->current;
    if (slot->method_end == 0) slot->begin = position(conn, at);
    slot->method_end = position(conn, at + len);
    return 0;
}

static int on_url(llhttp_t *parser, const char *at, size_t len) {
    conn_t *conn = owner(parser);
    slot_t *slot = conn->current;
    if (slot->target_end == 0 && position(conn, at) != slot->method_end + 1)
        return fail(conn, ERR_INVALID, "one space stands before the target");
    slot->target_end = position(conn, at + len);
    token_add(slot, at, len);
    if (slot->target_end - slot->begin > conn->net->limits.line_max)
        return fail(conn, ERR_URI_TOO_LONG, "the request line is too long");
    return 0;
}

static int on_url_complete(llhttp_t *parser) {
    slot_t *slot = owner(parser)->current;
    slot->x.target = token_end(slot);
    return 0;
}

static int on_protocol(llhttp_t *parser, const char *at, size_t len) {
    conn_t *conn = owner(parser);
    slot_t *slot = conn->current;
    bool first = slot->token.len == 0 && slot->part.len == 0;
    if (first && position(conn, at) != slot->target_end + 1)
        return fail(conn, ERR_INVALID, "one space stands before the version");
    token_add(slot, at, len);
    return 0;
}

static int on_protocol_complete(llhttp_t *parser) {
    conn_t *conn = owner(parser);
    if (!span_eq(token_end(conn->current), SPAN("HTTP")))
        return fail(conn, ERR_INVALID, "the protocol is not HTTP");
    return 0;
}

static int on_version(llhttp_t *parser, const char *at, size_t len) {
    token_add(owner(parser)->current, at, len);
    return 0;
}

/* A well-formed version that is not ours, or nonsense. HTTP/0.9 had no version, so a request that names it lies. */
static int version_refusal(span_t version) {
    bool formed = version.len == 3 && version.ptr[1] == '.' && !span_eq(version, SPAN("0.9"));
    return formed ? ERR_BAD_VERSION : ERR_INVALID;
}

static int on_version_complete(llhttp_t *parser) {
    conn_t *conn = owner(parser);
    span_t version = token_end(conn->current);
    if (span_eq(version, SPAN("1.1")) || span_eq(version, SPAN("1.0"))) return 0;
    return fail(conn, version_refusal(version), "the server speaks HTTP/1.1");
}

static bool trailing(const llhttp_t *parser) {
    return (parser->flags & F_TRAILING) != 0;
}

/* Chunk extensions and trailers are read and forgotten, so only their size matters. */
static int count_extra(conn_t *conn, size_t len) {
    conn->current->extra_bytes += len;
    if (conn->current->extra_bytes <= conn->net->limits.headers_max) return 0;
    return fail(conn, ERR_HEADERS_TOO_LARGE, "chunk extensions and trailers are too large");
}

static int count_field(conn_t *conn, size_t len) {
    slot_t *slot = conn->current;
    slot->head_bytes += len;
    if (slot->head_bytes > conn->net->limits.headers_max)
        return fail(conn, ERR_HEADERS_TOO_LARGE, "the headers are too large");
    return 0;
}

static int on_header_field(llhttp_t *parser, const char *at, size_t len) {
    conn_t *conn = owner(parser);
    if (trailing(parser)) return count_extra(conn, len);
    token_add(conn->current, at, len);
    return count_field(conn, len);
}

static int on_header_field_complete(llhttp_t *parser) {
    conn_t *conn = owner(parser);
    slot_t *slot = conn->current;
    size_t fields = slot->x.nheaders + slot->ntrailers;
    if (fields >= conn->net->limits.fields_max)
        return fail(conn, ERR_HEADERS_TOO_LARGE, "there are too many header fields");
    if (trailing(parser)) {
        slot->ntrailers++;
        return 0;
    }
    slot->headers[slot->x.nheaders++] = (header_t){token_end(slot), SPAN("")};
    return count_field(conn, sizeof ": \r\n" - 1);
}

static int on_header_value(llhttp_t *parser, const char *at, size_t len) {
    conn_t *conn = owner(parser);
    if (trailing(parser)) return count_extra(conn, len);
    token_add(conn->current, at, len);
    return count_field(conn, len);
}

static int on_header_value_complete(llhttp_t *parser) {
    slot_t *slot = owner(parser)->current;
    if (trailing(parser)) return 0;
    span_t value = span_trim(token_end(slot));
    slot->headers[slot->x.nheaders - 1].value = value.len == 0 ? SPAN("") : value;
    return 0;
}

static int on_headers_complete(llhttp_t *parser) {
    conn_t *conn = owner(parser);
    const char *detail = NULL;
    if (conn->current->part.failed) return fail(conn, ERR_NO_MEMORY, NULL);
    /* Nothing here speaks another protocol, so a wish for one is an ordinary request. */
    parser->upgrade = 0;
    int err = head_check(conn->current, parser, &detail);
    if (err != ERR_OK) return fail(conn, err, detail);
    conn_enter(conn, READ_BODY);
    return 0;
}

static int on_chunk_header(llhttp_t *parser) {
    conn_t *conn = owner(parser);
    slot_t *slot = conn->current;
    slot->chunks++;
    if (parser->content_length > slot->body_limit - slot->received)
        return fail(conn, ERR_TOO_LARGE, "the body is too large");
    return 0;
}

static int on_extension(llhttp_t *parser, const char *at, size_t len) {
    (void)at;
    return count_extra(owner(parser), len);
}

static int on_body(llhttp_t *parser, const char *at, size_t len) {
    conn_t *conn = owner(parser);
    slot_t *slot = conn->current;
    if (len > slot->body_limit - slot->received)
        return fail(conn, ERR_TOO_LARGE, "the body is too large");
    slot->received += len;
    conn->window_bytes += len;
    if (slot->received == len) {
        slot->x.body = (span_t){at, len};
        return 0;
    }
    if (slot->body.len == 0) buf_span(&slot->body, slot->x.body);
    buf_put(&slot->body, at, len);
    return 0;
}

static int on_message_complete(llhttp_t *parser) {
    conn_t *conn = owner(parser);
    slot_t *slot = conn->current;
    if (slot->body.failed) return fail(conn, ERR_NO_MEMORY, NULL);
    if (slot->body.len > 0) slot->x.body = buf_view(&slot->body);
    slot->keep_alive = llhttp_should_keep_alive(parser);
    return HPE_PAUSED;
}

static const llhttp_settings_t SETTINGS = {
    .on_message_begin = on_message_begin,
    .on_method = on_method,
    .on_url = on_url,
    .on_url_complete = on_url_complete,
    .on_protocol = on_protocol,
    .on_protocol_complete = on_protocol_complete,
    .on_version = on_version,
    .on_version_complete = on_version_complete,
    .on_header_field = on_header_field,
    .on_header_field_complete = on_header_field_complete,
    .on_header_value = on_header_value,
    .on_header_value_complete = on_header_value_complete,
    .on_headers_complete = on_headers_complete,
    .on_chunk_header = on_chunk_header,
    .on_chunk_extension_name = on_extension,
    .on_chunk_extension_value = on_extension,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

void parse_create(conn_t *conn) {
    llhttp_init(&conn->parser, HTTP_REQUEST, &SETTINGS);
    conn->parser.data = conn;
}

int parse_run(conn_t *conn, const char **bytes, size_t *len, bool *whole) {
    llhttp_errno_t code = llhttp_execute(&conn->parser, *bytes, *len);
    *whole = code == HPE_PAUSED;
    if (code == HPE_OK) {
        *bytes += *len;
        *len = 0;
        return ERR_OK;
    }
    if (code == HPE_PAUSED) {
        const char *stop = llhttp_get_error_pos(&conn->parser);
        *len -= (size_t)(stop - *bytes);
        *bytes = stop;
        llhttp_resume(&conn->parser);
        return ERR_OK;
    }
    if (conn->refusal != ERR_OK) return conn->refusal;
    conn->detail =
        code == HPE_INVALID_URL
            ? "the request target is not a URI: what is not ASCII must be percent-encoded"
            : llhttp_get_error_reason(&conn->parser);
    if (code == HPE_PAUSED_H2_UPGRADE) return ERR_BAD_VERSION;
    bool version = code == HPE_INVALID_VERSION && conn->current != NULL;
    return version ? version_refusal(token_end(conn->current)) : ERR_INVALID;
}

/* llhttp skips blanks and zeros without a callback; only the count of raw bytes bounds them. */
static int check_overhead(conn_t *conn, uint64_t end) {
    const net_limits_t *limits = &conn->net->limits;
    slot_t *slot = conn->current;
    uint64_t overhead = end - slot->begin - slot->received;
    uint64_t allowed = limits->line_max + limits->headers_max;
    if (conn->state == READ_BODY) allowed += limits->headers_max + slot->chunks * CHUNK_COST;
    if (overhead <= allowed) return ERR_OK;
    conn->detail = "the headers are too large";
    return ERR_HEADERS_TOO_LARGE;
}

int parse_pause(conn_t *conn) {
    slot_t *slot = conn->current;
    span_t window = conn->net->window;
    if (slot->token.len > 0) buf_span(&slot->part, slot->token);
    slot->token = (span_t){NULL, 0};
    if (slot->received > 0 && slot->body.len == 0) {
        buf_span(&slot->body, slot->x.body);
        slot->x.body = (span_t){NULL, 0};
    }
    if (slot->part.failed || slot->body.failed || slot_save(slot) != ERR_OK) return ERR_NO_MEMORY;
    return check_overhead(conn, position(conn, window.ptr + window.len));
}
