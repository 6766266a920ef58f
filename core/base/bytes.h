/* bytes.h: spans (somebody else's bytes) and buffers (our own, growing). */
#ifndef PERIGEE_BASE_BYTES_H
#define PERIGEE_BASE_BYTES_H
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct span {
    const char *ptr; /* not NUL-terminated */
    size_t len;
} span_t;

#define SPAN(literal) ((span_t){(literal), sizeof(literal) - 1})
static inline span_t span_of(const char *text) {
    return (span_t){text, strlen(text)};
}
static inline bool span_eq(span_t a, span_t b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}
/* Equal but for the case of ASCII letters. */
bool span_ieq(span_t a, span_t b);
bool span_starts(span_t text, span_t prefix);
/* Without the spaces and tabs at both ends. */
span_t span_trim(span_t text);
/* Cuts text at the first separator: returns what is before it and leaves in *text what is after (empty at the end).
   */
span_t span_cut(span_t *text, char separator);
/* Decimal digits only, the whole span; ERR_INVALID or ERR_RANGE. */
int span_to_u64(span_t text, uint64_t *out);
int span_to_i64(span_t text, int64_t *out);
/* The value of a hexadecimal digit, or -1. */
int hex_value(char c);
/* Decodes percent escapes into out, which has room for text.len bytes and may be text's own; returns how many. An
   escape that is none stays as it is. */
size_t span_unescape(span_t text, char *out);
/* Whether all of it is well-formed UTF-8 (RFC 3629: no surrogates, nothing overlong). */
bool span_is_utf8(span_t text);

/* A growing buffer. Once an allocation fails, `failed` stays set and later puts do nothing, so that a writer checks
   once at the end. */
typedef struct buf {
    char *ptr;
    size_t len, cap;
    bool failed;
} buf_t;

void buf_create(buf_t *buf);
void buf_destroy(buf_t *buf);
/* buf_reserve when there is no room yet. */
char *buf_grow(buf_t *buf, size_t more);
/* Room for `more` bytes at ptr + len, or NULL (and failed). */
static inline char *buf_reserve(buf_t *buf, size_t more) {
    bool room = buf->ptr && buf->cap - buf->len >= more && !buf->failed;
    return room ? buf->ptr + buf->len : buf_grow(buf, more);
}
static inline void buf_put(buf_t *buf, const void *bytes, size_t len) {
    char *room = len ? buf_reserve(buf, len) : NULL;
    if (!room) return;
    memcpy(room, bytes, len);
    buf->len += len;
}
static inline void buf_span(buf_t *buf, span_t span) {
    buf_put(buf, span.ptr, span.len);
}
/* In place, so that a literal's length is known to the compiler. */
static inline void buf_text(buf_t *buf, const char *text) {
    buf_put(buf, text, strlen(text));
}
static inline void buf_char(buf_t *buf, char c) {
    buf_put(buf, &c, 1);
}
void buf_u64(buf_t *buf, uint64_t value);
void buf_i64(buf_t *buf, int64_t value);
void buf_printf(buf_t *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(buf_t *buf, const char *format, va_list args);
/* A JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. */
void buf_json(buf_t *buf, span_t text);
static inline span_t buf_view(const buf_t *buf) {
    return (span_t){buf->ptr, buf->len};
}
/* Keeps the memory, drops the content and the failure. */
void buf_reset(buf_t *buf);

#endif
