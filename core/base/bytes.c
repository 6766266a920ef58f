/* bytes.c: looking at spans, and buffers that grow. */
#include "base/bytes.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/err.h"

static unsigned char lower(unsigned char c) {
    return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

bool span_ieq(span_t a, span_t b) {
    if (a.len != b.len) return false;
    for (size_t i = 0; i < a.len; i++) {
        if (lower((unsigned char)a.ptr[i]) != lower((unsigned char)b.ptr[i])) return false;
    }
    return true;
}

bool span_starts(span_t text, span_t prefix) {
    return text.len >= prefix.len && span_eq((span_t){text.ptr, prefix.len}, prefix);
}

static bool blank(char c) {
    return c == ' ' || c == '\t';
}

span_t span_trim(span_t text) {
    while (text.len && blank(text.ptr[0]))
        text.ptr++, text.len--;
    while (text.len && blank(text.ptr[text.len - 1]))
        text.len--;
    return text;
}

span_t span_cut(span_t *text, char separator) {
    const char *at = text->len ? memchr(text->ptr, separator, text->len) : NULL;
    span_t before = *text;
    if (!at) {
        *text = (span_t){text->ptr + text->len, 0};
        return before;
    }
    before.len = (size_t)(at - text->ptr);
    text->ptr += before.len + 1;
    text->len -= before.len + 1;
    return before;
}

int span_to_u64(span_t text, uint64_t *out) {
    uint64_t value = 0;
    bool range = false;
    if (!text.len) return ERR_INVALID;
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned char)text.ptr[i] - (unsigned)'0';
        if (digit > 9) return ERR_INVALID;
        range |= __builtin_mul_overflow(value, 10, &value);
        range |= __builtin_add_overflow(value, digit, &value);
    }
    if (range) return ERR_RANGE;
    *out = value;
    return 0;
}

int span_to_i64(span_t text, int64_t *out) {
    bool negative = text.len && text.ptr[0] == '-';
    if (negative) text.ptr++, text.len--;
    uint64_t value;
    int err = span_to_u64(text, &value);
    if (err) return err;
    if (value > (uint64_t)INT64_MAX + (negative ? 1 : 0)) return ERR_RANGE;
    *out = negative ? (int64_t)(0 - value) : (int64_t)value;
    return 0;
}

int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

size_t span_unescape(span_t text, char *out) {
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        bool escape = text.ptr[i] == '%' && i + 2 < text.len;
        int high = escape ? hex_value(text.ptr[i + 1]) : -1;
        int low = high < 0 ? -1 : hex_value(text.ptr[i + 2]);
        out[len++] = low < 0 ? text.ptr[i] : (char)(high << 4 | low);
        if (low >= 0) i += 2;
    }
    return len;
}

/* The length of the well-formed sequence at the start of text, or 0. */
static size_t utf8_length(const unsigned char *p, size_t len) {
    if (p[0] < 0x80) return 1;
    size_t need = p[0] >= 0xC2 && p[0] <= 0xDF   ? 2
                  : (p[0] & 0xF0) == 0xE0        ? 3
                  : p[0] >= 0xF0 && p[0] <= 0xF4 ? 4
                                                 : 0;
    if (!need || len < need) return 0;
    unsigned char low = p[0] == 0xE0 ? 0xA0 : p[0] == 0xF0 ? 0x90 : 0x80; /* overlong below */
    unsigned char high = p[0] == 0xED   ? 0x9F
                         : p[0] == 0xF4 ? 0x8F
                                        : 0xBF; /* surrogates, too large */
    if (p[1] < low || p[1] > high) return 0;
    for (size_t i = 2; i < need; i++) {
        if ((p[i] & 0xC0) != 0x80) return 0;
    }
    return need;
}

bool span_is_utf8(span_t text) {
    const unsigned char *p = (const unsigned char *)text.ptr;
    for (size_t at = 0, step; at < text.len; at += step) {
        step = utf8_length(p + at, text.len - at);
        if (!step) return false;
    }
    return true;
}

void buf_create(buf_t *buf) {
    *buf = (buf_t){0};
}

void buf_destroy(buf_t *buf) {
    free(buf->ptr);
    buf_create(buf);
}

char *buf_grow(buf_t *buf, size_t more) {
    if (buf->failed) return NULL;
    size_t cap = buf->cap ? buf->cap : 128;
    while (cap - buf->len < more && cap < SIZE_MAX / 4)
        cap *= 2;
    char *grown = cap - buf->len < more ? NULL : realloc(buf->ptr, cap);
    if (!grown) {
        buf->failed = true;
        return NULL;
    }
    buf->ptr = grown;
    buf->cap = cap;
    return grown + buf->len;
}

void buf_u64(buf_t *buf, uint64_t value) {
    char digits[20];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + value % 10);
    while (value /= 10);
    buf_put(buf, digits + at, sizeof digits - at);
}

void buf_i64(buf_t *buf, int64_t value) {
    if (value < 0) buf_char(buf, '-');
    buf_u64(buf, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void buf_vprintf(buf_t *buf, const char *format, va_list args) {
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    char *room = len < 0 ? NULL : buf_reserve(buf, (size_t)len + 1);
    if (room) {
        vsnprintf(room, (size_t)len + 1, format, again);
        buf->len += (size_t)len;
    } else {
        buf->failed = true;
    }
    va_end(again);
}

void buf_printf(buf_t *buf, const char *format, ...) {
    va_list args;
    va_start(args, format);
    buf_vprintf(buf, format, args);
    va_end(args);
}

static void put_escaped(buf_t *buf, unsigned char c) {
    static const char hex[] = "0123456789abcdef";
    static const char letters[] = "btn\0fr"; /* of \b (8) to \r (13); there is none for 11 */
    char escape[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
    if (c == '"' || c == '\\') {
        escape[1] = (char)c;
        buf_put(buf, escape, 2);
    } else if (c >= 8 && c <= 13 && letters[c - 8]) {
        escape[1] = letters[c - 8];
        buf_put(buf, escape, 2);
    } else {
        buf_put(buf, escape, 6);
    }
}

static bool plain(unsigned char c) {
    return c >= 0x20 && c < 0x7F && c != '"' && c != '\\';
}

void buf_json(buf_t *buf, span_t text) {
    const unsigned char *p = (const unsigned char *)text.ptr;
    buf_char(buf, '"');
    for (size_t at = 0; at < text.len;) {
        size_t run = at;
        while (run < text.len && plain(p[run]))
            run++;
        buf_put(buf, p + at, run - at);
        if ((at = run) == text.len) break;
        size_t step = utf8_length(p + at, text.len - at);
        if (!step)
            buf_text(buf, "\xEF\xBF\xBD");
        else if (step == 1)
            put_escaped(buf, p[at]);
        else
            buf_put(buf, p + at, step);
        at += step ? step : 1;
    }
    buf_char(buf, '"');
}

void buf_reset(buf_t *buf) {
    buf->len = 0;
    buf->failed = false;
}
