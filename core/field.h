/* field.h: header fields of answers that scripts make: what may be sent, and how it is written. */
#ifndef PERIGEE_FIELD_H
#define PERIGEE_FIELD_H
#include "base/bytes.h"

/* NULL, or why the field cannot be sent, to stand behind "the header NAME ": its name is no token, its value would
   end the line, or it belongs to the server, which frames the answer and names the request. */
const char *field_refusal(span_t name, span_t value);
/* Appends one line. */
void field_put(buf_t *lines, span_t name, span_t value);

#endif
