/* mail_server.c: reads the setting mail_url; a password never travels in the clear. */
#include "http/mail_server.h"
#include <stdio.h>
#include "base/bytes.h"
#include "base/err.h"

static const struct {
    const char *scheme, *curl;
    bool starttls, secret;
} forms[] = {{"smtp://", "smtp://", false, false}, {"smtp+starttls://", "smtp://", true, true},
    {"smtps://", "smtps://", false, true}};
#define FORMS ((int)(sizeof forms / sizeof forms[0]))

static int read_option(mail_server_t *server, span_t option, char *why, size_t size) {
    span_t name = span_cut(&option, '=');
    if (!span_eq(name, SPAN("ca")) || !option.len || option.len >= sizeof server->ca)
        return err_why(ERR_INVALID, why, size, "the only option is ca=FILE");
    server->ca[span_unescape(option, server->ca)] = '\0';
    return 0;
}

int mail_server_read(mail_server_t *server, const char *text, char *why, size_t size) {
    int form = 0;
    span_t rest = span_of(text);
    memset(server, 0, sizeof *server);
    for (size_t i = 0; i < rest.len; i++)
        if ((unsigned char)text[i] <= ' ' || text[i] == 0x7F)
            return err_why(ERR_INVALID, why, size, "it has a space or a control character");
    while (form < FORMS && !span_starts(rest, span_of(forms[form].scheme)))
        form++;
    if (form == FORMS)
        return err_why(ERR_INVALID, why, size,
            "it starts with none of smtp://, smtp+starttls:// and smtps://");
    span_cut(&rest, '/');
    span_cut(&rest, '/');
    span_t where = span_cut(&rest, '?');
    bool secret = memchr(where.ptr, '@', where.len) != NULL;
    if (secret && !forms[form].secret)
        return err_why(ERR_INVALID, why, size, "a password needs smtp+starttls:// or smtps://");
    if (!where.len || where.ptr[0] == '/' || where.len > sizeof server->url - 10)
        return err_why(ERR_INVALID, why, size, "it names no host, or is too long");
    server->starttls = forms[form].starttls;
    snprintf(
        server->url, sizeof server->url, "%s%.*s", forms[form].curl, (int)where.len, where.ptr);
    return rest.len ? read_option(server, rest, why, size) : 0;
}
