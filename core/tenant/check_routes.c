/* check_routes.c: opens routes.lua as a worker would, which runs it once and puts its routes into a router. */
#include "base/err.h"
#include "tenant/check_own.h"
#include "tenant/routes.h"

void check_routes(check_report_t *report) {
    sandbox_fault_t fault;
    routes_t *routes;
    int err = routes_open(
        (edition_t *)report->edition, NULL, &report->limits, NULL, NULL, &routes, &fault);
    if (!err) {
        routes_close(routes);
        return;
    }
    place_t place = check_place(report, RULE_ROUTES, fault.line);
    check_find(report, &place, false, err, "%s", fault.text[0] ? fault.text : err_text(err));
}
