/* number.c: digits for whole numbers, the fewest that are enough for others. */
#include "base/number.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static bool is_whole(double number) {
    return number == floor(number) && fabs(number) <= 9007199254740992.0;
}

void number_text(double number, char out[NUMBER_TEXT]) {
    if (is_whole(number)) {
        snprintf(out, NUMBER_TEXT, "%lld", (long long)number);
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(out, NUMBER_TEXT, "%.*g", digits, number);
        if (strtod(out, NULL) == number) return;
    }
}

void number_put(buf_t *out, double number) {
    char text[NUMBER_TEXT];
    if (is_whole(number)) {
        buf_i64(out, (int64_t)number);
        return;
    }
    number_text(number, text);
    buf_text(out, text);
}
