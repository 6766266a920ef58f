/* mail.c: writes a letter as one message of headers and text. */
#include "http/mail.h"
#include <sodium.h>
#include <stdio.h>
#include "base/clock.h"
#include "base/err.h"

#define ADDRESS_MAX 254
#define ID_MAX 200
#define HEADER_MAX 300  /* bytes of a subject or a name, so that no line is too long */
#define WORD_BYTES 45   /* of an encoded word: 75 characters with what is around them */
#define LINE_BYTES 57   /* of a line of base64: 76 characters */
#define ENCODED_MAX 128 /* room for either, encoded */

static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

static bool consists_of(span_t text, const char *more) {
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (!c || (!strchr(letters, c) && !strchr(more, c))) return false;
    }
    return text.len > 0;
}

/* Narrower than RFC 5321: without quotes, comments and brackets an address cannot be two, nor anything else. */
static bool is_address(const char *address) {
    span_t domain = span_of(address);
    if (domain.len > ADDRESS_MAX || !memchr(address, '@', domain.len)) return false;
    span_t local = span_cut(&domain, '@');
    return consists_of(local, "!#$%&'*+-/=?^_`{|}~.") && consists_of(domain, ".-");
}

/* What stands in a header: no control character, a line's end least of all. */
static bool is_line(const char *text) {
    span_t line = span_of(text);
    if (line.len > HEADER_MAX || !span_is_utf8(line)) return false;
    for (size_t i = 0; i < line.len; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7F) return false;
    return true;
}

static bool is_text(span_t text) {
    if (text.len > MAIL_TEXT_MAX || !span_is_utf8(text)) return false;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c < ' ' && c != '\n' && c != '\r' && c != '\t') return false;
    }
    return true;
}

static const char *fault_of(const mail_t *mail) {
    if (!is_address(mail->from)) return "from is no plain address";
    if (mail->reply_to && !is_address(mail->reply_to)) return "reply_to is no plain address";
    if (mail->name && !is_line(mail->name)) return "the name is not one short line";
    if (!is_line(mail->subject)) return "the subject is not one short line";
    if (!is_text(mail->text)) return "the text is not UTF-8, or larger than 1 MB";
    if (!consists_of(span_of(mail->id), "-._:") || strlen(mail->id) > ID_MAX)
        return "the id is not letters, digits, - . _ :";
    if (mail->nto < 1 || mail->nto > MAIL_TO_MAX) return "there must be 1 to 50 recipients";
    for (size_t i = 0; i < mail->nto; i++)
        if (!is_address(mail->to[i])) return "a recipient is no plain address";
    return NULL;
}

static void put_base64(buf_t *out, const char *bytes, size_t len) {
    char encoded[ENCODED_MAX];
    sodium_bin2base64(
        encoded, sizeof encoded, (const unsigned char *)bytes, len, sodium_base64_VARIANT_ORIGINAL);
    buf_text(out, encoded);
}

/* How much of a text makes one word, without cutting a character in two. */
static size_t word_of(span_t text) {
    size_t len = text.len < WORD_BYTES ? text.len : WORD_BYTES;
    while (len < text.len && ((unsigned char)text.ptr[len] & 0xC0) == 0x80)
        len--;
    return len;
}

/* RFC 2047: words on lines of their own, which a reader joins again. */
static void put_words(buf_t *out, span_t text) {
    while (text.len) {
        size_t len = word_of(text);
        buf_text(out, "=?UTF-8?B?");
        put_base64(out, text.ptr, len);
        text = (span_t){text.ptr + len, text.len - len};
        buf_text(out, text.len ? "?=\r\n " : "?=");
    }
}

/* As it is where no reader could take it for something else. */
static void put_line(buf_t *out, const char *text) {
    static const char plain[] = " !#$%&'*+-/^_`{|}~.,:;()@<>[]?";
    if (!*text || (consists_of(span_of(text), plain) && !strstr(text, "=?")))
        buf_text(out, text);
    else
        put_words(out, span_of(text));
}

static void put_from(buf_t *out, const mail_t *mail) {
    buf_text(out, "From: ");
    if (mail->name && consists_of(span_of(mail->name), " !#$%&'*+-/^_`{|}~.,:;()"))
        buf_printf(out, "\"%s\" ", mail->name);
    else if (mail->name && *mail->name) {
        put_words(out, span_of(mail->name));
        buf_char(out, ' ');
    }
    buf_printf(out, "<%s>\r\n", mail->from);
}

static void put_head(buf_t *out, const mail_t *mail) {
    char date[30];
    clock_http_date(clock_wall_ms(), date);
    buf_printf(out, "Date: %.25s +0000\r\n", date);
    put_from(out, mail);
    for (size_t i = 0; i < mail->nto; i++)
        buf_printf(out, i ? ",\r\n <%s>" : "To: <%s>", mail->to[i]);
    if (mail->reply_to) buf_printf(out, "\r\nReply-To: <%s>", mail->reply_to);
    buf_text(out, "\r\nSubject: ");
    put_line(out, mail->subject);
    buf_printf(out, "\r\nMessage-ID: <%s%s>\r\n", mail->id, strchr(mail->from, '@'));
    buf_text(out, "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
                  "Content-Transfer-Encoding: base64\r\n\r\n");
}

/* In base64 no line is too long, none begins with a dot, and none is a header's. */
static void put_text(buf_t *out, span_t text) {
    buf_t lines;
    buf_create(&lines);
    while (text.len) {
        span_t line = span_cut(&text, '\n');
        if (line.len && line.ptr[line.len - 1] == '\r') line.len--;
        buf_span(&lines, line);
        buf_text(&lines, "\r\n");
    }
    for (size_t at = 0; at < lines.len; at += LINE_BYTES) {
        size_t left = lines.len - at;
        put_base64(out, lines.ptr + at, left < LINE_BYTES ? left : LINE_BYTES);
        buf_text(out, "\r\n");
    }
    if (lines.failed) out->failed = true;
    buf_destroy(&lines);
}

int mail_write(const mail_t *mail, buf_t *out, char *why, size_t size) {
    const char *fault = fault_of(mail);
    if (fault) return err_why(ERR_INVALID, why, size, "%s", fault);
    put_head(out, mail);
    put_text(out, mail->text);
    return out->failed ? ERR_NO_MEMORY : 0;
}
