/* cjk.h: Chinese, Japanese and Korean text, made ready for an index of words. */
#ifndef PERIGEE_SQLITE_CJK_H
#define PERIGEE_SQLITE_CJK_H
#include "base/bytes.h"

/* Appends the text with a space between such a character and its neighbours, whatever they are: each becomes a word,
   and a part of a run of them a phrase. The same text always gives the same. Bytes that are not UTF-8 stay. */
void cjk_apart(span_t text, buf_t *out);
/* Whether cjk_apart changes anything about such a text; false is quick. */
bool cjk_any(span_t text);

#endif
