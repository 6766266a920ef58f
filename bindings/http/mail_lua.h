/* mail_lua.h: the native module `mail.native` of scripts. */
#ifndef PERIGEE_HTTP_MAIL_LUA_H
#define PERIGEE_HTTP_MAIL_LUA_H
#include "http/mailer.h"
#include "lua/vm.h"

/* Makes `require "mail.native"` work in this VM; nothing happens without a mailer. Trusted VMs only: who sends letters
   speaks for the platform. 0, or ERR_NO_MEMORY. */
int mail_lua_open(vm_t *vm, mailer_t *mailer);

#endif
