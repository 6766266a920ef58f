/* comment.h: comments in a statement's text, of both kinds. */
#ifndef PERIGEE_POSTGRES_COMMENT_H
#define PERIGEE_POSTGRES_COMMENT_H

/* Past the comment that begins here. */
const char *postgres_after_comment(const char *at);

#endif
