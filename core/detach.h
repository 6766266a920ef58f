/* detach.h: functions of scripts that run to their end, also when nobody waits for them any more. */
#ifndef PERIGEE_DETACH_H
#define PERIGEE_DETACH_H
#include "request.h"
#include "services.h"

/* The module "detach" of a trusted VM: a function of (fn, extra_ms, wait_ms). It runs fn as a task of its own, whose
   deadline is the caller's moved by extra_ms, and waits for it: true and what fn returned (at most 15 values), or
   false, the error value, and its text with the traceback ("timeout" and no traceback when the deadline ended it). Who
   waits may be cancelled meanwhile, with its client, or waits for wait_ms at most and gets nil, text, "timeout": fn
   runs on. nil, text, "busy" when too many run. */
int luaopen_detach(lua_State *L);
/* The request for which a task runs, as its handler or detached from it; NULL for any other task, for NULL, and once
   the request has ended. */
request_t *detach_request(task_t *task);
/* Cancels all that run, before their VMs go. */
void detach_stop(services_t *services);

#endif
