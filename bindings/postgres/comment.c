/* comment.c: where a comment ends. */
#include "postgres/comment.h"
#include <stdbool.h>
#include <string.h>

/* Comments of the second kind nest. */
const char *postgres_after_comment(const char *at) {
    int depth = 0;
    if (at[0] == '-') return at + strcspn(at, "\r\n");
    do {
        bool opens = at[0] == '/' && at[1] == '*', closes = at[0] == '*' && at[1] == '/';
        depth += opens - closes;
        at += opens || closes ? 2 : 1;
    } while (*at && depth);
    return at;
}
