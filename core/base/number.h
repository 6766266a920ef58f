/* number.h: a double as text that reads back the same. */
#ifndef PERIGEE_BASE_NUMBER_H
#define PERIGEE_BASE_NUMBER_H
#include "base/bytes.h"

#define NUMBER_TEXT 32

/* Of a finite number: whole ones within ±2^53 as digits, others as the shortest text that reads back the same. */
void number_text(double number, char out[NUMBER_TEXT]);
/* Appends that text. */
void number_put(buf_t *out, double number);

#endif
