/* job.h: runs one trusted script to its end, for the command line and the tests. */
#ifndef PERIGEE_JOB_H
#define PERIGEE_JOB_H
#include "config.h"

/* Runs the file as a trusted script with the stores of the configuration; `arg` holds argv. Returns the exit code: what
   the script returned (an integer, 0 when nothing), or 1 with a message on standard error when it raised an error. */
int job_run(const config_t *config, const char *script_path, int argc, char **argv);

#endif
