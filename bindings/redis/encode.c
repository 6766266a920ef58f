/* encode.c: a command in the protocol's form, straight into the connection's buffer: *3\r\n$3\r\nSET\r\n… */
#include "redis/encode.h"
#include "base/err.h"

#define HEAD_MAX 24 /* a type, 20 digits, CR LF */

static char *head(char *at, char type, size_t value) {
    char digits[20];
    size_t n = 0;
    do
        digits[n++] = (char)('0' + value % 10);
    while (value /= 10);
    *at++ = type;
    while (n)
        *at++ = digits[--n];
    *at++ = '\r';
    *at++ = '\n';
    return at;
}

int redis_encode(sds *out, const span_t *argv, int argc) {
    size_t most = HEAD_MAX, len = sdslen(*out);
    for (int i = 0; i < argc; i++)
        most += HEAD_MAX + argv[i].len + 2;
    sds room = sdsMakeRoomFor(*out, most);
    if (!room) return ERR_NO_MEMORY;
    char *at = head(room + len, '*', (size_t)argc);
    for (int i = 0; i < argc; i++) {
        at = head(at, '$', argv[i].len);
        if (argv[i].len) memcpy(at, argv[i].ptr, argv[i].len);
        at += argv[i].len;
        *at++ = '\r';
        *at++ = '\n';
    }
    sdsIncrLen(room, (int)(at - (room + len)));
    *out = room;
    return 0;
}
