/* field.c: checks and writes one header field. */
#include "field.h"

static const char *const OWN[] = {"connection", "content-length", "date", "keep-alive", "trailer",
    "transfer-encoding", "upgrade", "x-request-id", NULL};

/* RFC 9110, token. */
static bool is_token(span_t name) {
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && (c == '\0' || !strchr("!#$%&'*+-.^_`|~", c))) return false;
    }
    return name.len > 0;
}

static bool is_line(span_t value) {
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];
        if ((c < ' ' && c != '\t') || c == 127) return false;
    }
    return true;
}

const char *field_refusal(span_t name, span_t value) {
    if (!is_token(name)) return "has a name that is no header's";
    if (!is_line(value)) return "has a value with control characters";
    for (size_t i = 0; OWN[i]; i++)
        if (span_ieq(name, span_of(OWN[i]))) return "belongs to the server";
    return NULL;
}

void field_put(buf_t *lines, span_t name, span_t value) {
    buf_span(lines, name);
    buf_text(lines, ": ");
    buf_span(lines, value);
    buf_text(lines, "\r\n");
}
