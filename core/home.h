/* home.h: the folder that one server owns inside the data folder: DATA/servers/PORT. */
#ifndef PERIGEE_HOME_H
#define PERIGEE_HOME_H
#include "config.h"

/* Several servers may share one data folder; what belongs to a single one (control.sock, editions/, checked) lies in a
   folder named by its port, locked while it runs. */
typedef struct home {
    char path[640];     /* "var/servers/8080" */
    char editions[680]; /* "var/servers/8080/editions" */
    int fd;             /* the folder, locked */
} home_t;

/* Makes what is missing and locks it. ERR_CONFLICT when a server holds it, else ERR_UNAVAILABLE, with a sentence. */
int home_open(home_t *home, const config_t *config, int port, char *why, size_t size);
void home_close(home_t *home);
/* The path by which to bind or connect to the control socket: short, whatever the folder's length, because a Unix
   socket's address holds 107 bytes. fd is the open folder. */
void home_socket(int fd, char out[64]);

#endif
