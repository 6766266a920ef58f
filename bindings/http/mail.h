/* mail.h: what a letter says, and the message that it becomes. */
#ifndef PERIGEE_HTTP_MAIL_H
#define PERIGEE_HTTP_MAIL_H
#include "base/bytes.h"

#define MAIL_TO_MAX 50
#define MAIL_TEXT_MAX ((size_t)1024 * 1024)

typedef struct mail {
    const char *id;   /* by which a receiver knows a repeated letter: letters, digits, - . _ : */
    const char *from; /* an address: user@example.com */
    const char *name; /* of the sender, or NULL */
    const char *reply_to;  /* an address, or NULL */
    const char *const *to; /* addresses, 1 to MAIL_TO_MAX */
    size_t nto;
    const char *subject;
    span_t text; /* UTF-8 with any line ends */
} mail_t;

/* Writes the message (RFC 5322) into out. ERR_INVALID with a sentence for whatever could be more than the one header or
   the one recipient that it was meant to be; ERR_NO_MEMORY. */
int mail_write(const mail_t *mail, buf_t *out, char *why, size_t size);

#endif
