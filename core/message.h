/* message.h: what master and worker say to each other: one JSON object a line. */
#ifndef PERIGEE_MESSAGE_H
#define PERIGEE_MESSAGE_H
#include "base/arena.h"
#include "base/bytes.h"

/* From the master, {"do":VERB}: "scripts" (path, hash: build beside), "commit", "drop", "rules" (tenant, path, hash,
   change, before), "settings" (tenant: store its document, which was refused, if it can be now), "accept" (fd: a
   sibling's empty slot), "drain".
   From the worker, {"did":VERB}: the same with ok and error, "ready", "alive". "settings" (tenant, ok, error) comes
   also unasked, whenever a document has been stored or refused. */
typedef struct message {
    const char *verb;
    bool answer;                              /* did, not do */
    bool ok;                                  /* answers only; true when the field is absent */
    int64_t id;                               /* 0 when absent */
    const char *tenant, *path, *hash, *error; /* NULL when absent */
    const char *change,
        *before; /* of rules that replace others: the change's id, the edition before */
    int fd;      /* a descriptor that came with it, or -1; closed after the callback */
} message_t;

/* The texts live in the arena. ERR_BAD_JSON when the line is not such an object; ERR_NO_MEMORY. */
int message_parse(span_t line, arena_t *arena, message_t *out);
/* Appends the line with its line feed. */
void message_write(const message_t *message, buf_t *out);

#endif
