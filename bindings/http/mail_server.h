/* mail_server.h: the mail server of the setting mail_url, taken apart. */
#ifndef PERIGEE_HTTP_MAIL_SERVER_H
#define PERIGEE_HTTP_MAIL_SERVER_H
#include <stdbool.h>
#include <stddef.h>

typedef struct mail_server {
    char url[512]; /* as curl takes it: smtp: or smtps:, with the credentials */
    char ca[256];  /* "" for the system's */
    bool starttls; /* nothing is said before the connection is secure */
} mail_server_t;

/* Reads smtp://HOST[:PORT], smtp+starttls://[USER:PASSWORD@]HOST[:PORT] or smtps://[…]HOST[:PORT], each with ?ca=FILE.
   ERR_INVALID with a sentence, which never contains the URL: it may hold a password. */
int mail_server_read(mail_server_t *server, const char *text, char *why, size_t size);

#endif
