/* said.h: whether a complaint is news: what is tried again and again fails again and again for the same reason. */
#ifndef PERIGEE_BASE_SAID_H
#define PERIGEE_BASE_SAID_H
#include <stdbool.h>
#include <stdint.h>

/* Zeroed: nothing was said. */
typedef struct said {
    char text[200];
    uint64_t at_ms;
} said_t;

/* True: say it now, and it counts as said. Another reason is news, but none is within ten seconds of the one before:
   two may take turns. */
bool said_is_news(said_t *said, const char *text, uint64_t now_ms);
/* It went well meanwhile: the next complaint is news. */
void said_forget(said_t *said);

#endif
