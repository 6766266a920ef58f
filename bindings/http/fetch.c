/* fetch.c: turns a request into a curl transfer with Perigee's limits, and collects its answer. */
#include "http/fetch.h"
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include "base/err.h"
#include "http/address.h"

/* Headers that belong to the client itself: a script's own would break the framing of messages. */
static const char *const reserved[] = {"connection", "content-length", "expect", "keep-alive",
    "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"};
static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
#define FOLLOWING 3 /* of methods, those that may follow redirects */

static int refuse(fetch_t *fetch, const char *sentence) {
    snprintf(fetch->detail, sizeof fetch->detail, "%s", sentence);
    return ERR_INVALID;
}

static bool is_token(span_t text) {
    static const char letters[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    for (size_t i = 0; i < text.len; i++) {
        if (!memchr(letters, text.ptr[i], sizeof letters - 1)) return false;
    }
    return text.len > 0;
}

static int check_header(fetch_t *fetch, const fetch_header_t *header) {
    span_t name = span_of(header->name);
    if (!is_token(name)) return refuse(fetch, "a header's name is not a token");
    for (const char *c = header->value; *c; c++) {
        if ((unsigned char)*c < 0x20 && *c != '\t')
            return refuse(fetch, "a header's value has a control character");
    }
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++) {
        if (!span_ieq(name, span_of(reserved[i]))) continue;
        snprintf(fetch->detail, sizeof fetch->detail, "the header %s is set by the client itself",
            reserved[i]);
        return ERR_INVALID;
    }
    return 0;
}

static int check_url(fetch_t *fetch) {
    span_t url = span_of(fetch->url);
    bool http = url.len > 7 && span_ieq((span_t){url.ptr, 7}, SPAN("http://"));
    bool https = url.len > 8 && span_ieq((span_t){url.ptr, 8}, SPAN("https://"));
    if (!http && !https) return refuse(fetch, "the url starts with neither http:// nor https://");
    if (url.len > FETCH_URL_MAX) return refuse(fetch, "the url is longer than 8192 bytes");
    for (size_t i = 0; i < url.len; i++) {
        if ((unsigned char)url.ptr[i] <= 0x20 || url.ptr[i] == 0x7F)
            return refuse(fetch, "the url has a space or a control character");
    }
    return 0;
}

static int check_method(fetch_t *fetch) {
    for (int i = 0; i < (int)(sizeof methods / sizeof methods[0]); i++) {
        if (strcmp(fetch->method, methods[i]) != 0) continue;
        if (fetch->redirects < 0 || fetch->redirects > FETCH_REDIRECTS_MAX)
            return refuse(fetch, "at most 5 redirects can be followed");
        if (fetch->redirects && i >= FOLLOWING)
            return refuse(fetch, "only GET, HEAD and POST can follow redirects");
        return 0;
    }
    return refuse(fetch, "the method is none of GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
}

int fetch_check(fetch_t *fetch) {
    int err = check_method(fetch);
    if (!err) err = check_url(fetch);
    if (!err && fetch->has_body &&
        (strcmp(fetch->method, "GET") == 0 || strcmp(fetch->method, "HEAD") == 0))
        err = refuse(fetch, "GET and HEAD have no body");
    for (size_t i = 0; i < fetch->nheaders && !err; i++)
        err = check_header(fetch, &fetch->headers[i]);
    return err;
}

/* Every connection passes here, those of redirects and of every address of a name too; what is checked is the address
   that is connected to, so a name that resolves differently the second time gains nothing. */
static curl_socket_t open_socket(void *data, curlsocktype purpose, struct curl_sockaddr *address) {
    fetch_t *fetch = data;
    (void)purpose;
    if (!fetch->allow_private && address_private(&address->addr)) {
        fetch->refused = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static size_t on_body(char *bytes, size_t one, size_t len, void *data) {
    fetch_t *fetch = data;
    (void)one;
    if (len > fetch->max_bytes - fetch->answer.len)
        fetch->fault = ERR_TOO_LARGE;
    else
        buf_put(&fetch->answer, bytes, len);
    if (fetch->answer.failed) fetch->fault = ERR_NO_MEMORY;
    return fetch->fault ? CURL_WRITEFUNC_ERROR : len;
}

static void put_header(buf_t *head, span_t line) {
    span_t name = span_cut(&line, ':'), value = span_trim(line);
    if (!is_token(name)) return;
    for (size_t i = 0; i < name.len; i++)
        buf_char(head,
            name.ptr[i] >= 'A' && name.ptr[i] <= 'Z' ? (char)(name.ptr[i] | 0x20) : name.ptr[i]);
    buf_char(head, '\0');
    buf_span(head, value);
    buf_char(head, '\0');
}

/* Each answer of a chain begins with its status line, so that the last one's headers remain. */
static size_t on_header(char *bytes, size_t one, size_t len, void *data) {
    fetch_t *fetch = data;
    span_t line = {bytes, len};
    (void)one;
    while (line.len && (line.ptr[line.len - 1] == '\n' || line.ptr[line.len - 1] == '\r'))
        line.len--;
    if (span_starts(line, SPAN("HTTP/")))
        buf_reset(&fetch->head);
    else if (!memchr(line.ptr, '\0', line.len))
        put_header(&fetch->head, line);
    if (fetch->head.len > FETCH_HEAD_MAX) fetch->fault = ERR_TOO_LARGE;
    if (fetch->head.failed) fetch->fault = ERR_NO_MEMORY;
    return fetch->fault ? CURL_WRITEFUNC_ERROR : len;
}

static int add_line(fetch_t *fetch, const char *line) {
    struct curl_slist *lines = fetch->late->slist_append(fetch->lines, line);
    if (!lines) return ERR_NO_MEMORY;
    fetch->lines = lines;
    return 0;
}

/* "Expect:" takes away curl's wait of a second before large bodies; "Name;" is curl's way to send an empty value. */
static int add_lines(fetch_t *fetch) {
    buf_t line;
    buf_create(&line);
    int err = add_line(fetch, "Expect:");
    for (size_t i = 0; i < fetch->nheaders && !err; i++) {
        const fetch_header_t *header = &fetch->headers[i];
        buf_reset(&line);
        buf_text(&line, header->name);
        buf_text(&line, *header->value ? ": " : ";");
        buf_text(&line, header->value);
        buf_char(&line, '\0');
        err = line.failed ? ERR_NO_MEMORY : add_line(fetch, line.ptr);
    }
    buf_destroy(&line);
    return err;
}

/* The first option that fails for want of memory stays in *code; the options themselves are known to this curl. */
#define SET(option, value)                                                                         \
    do {                                                                                           \
        if (code == CURLE_OK) code = fetch->late->easy_setopt(fetch->easy, option, value);         \
    } while (0)

static CURLcode set_method(fetch_t *fetch) {
    CURLcode code = CURLE_OK;
    if (strcmp(fetch->method, "HEAD") == 0) {
        SET(CURLOPT_NOBODY, 1L);
    } else if (strcmp(fetch->method, "POST") == 0) {
        SET(CURLOPT_POST, 1L);
    } else if (strcmp(fetch->method, "GET") != 0) {
        SET(CURLOPT_CUSTOMREQUEST, fetch->method);
    }
    if (!fetch->has_body && strcmp(fetch->method, "POST") != 0) return code;
    SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)fetch->body.len);
    SET(CURLOPT_POSTFIELDS, fetch->body.len ? fetch->body.ptr : "");
    return code;
}

/* A redirect never leaves TLS again. */
static CURLcode set_target(fetch_t *fetch) {
    CURLcode code = CURLE_OK;
    bool tls = span_ieq((span_t){fetch->url, 6}, SPAN("https:"));
    SET(CURLOPT_URL, fetch->url);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_REDIR_PROTOCOLS_STR, tls ? "https" : "http,https");
    SET(CURLOPT_FOLLOWLOCATION, fetch->redirects ? 1L : 0L);
    SET(CURLOPT_MAXREDIRS, (long)fetch->redirects);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_PROXY, ""); /* one from the environment would connect past open_socket */
    return code;
}

static CURLcode set_rest(fetch_t *fetch) {
    CURLcode code = CURLE_OK;
    SET(CURLOPT_PRIVATE, fetch);
    SET(CURLOPT_ERRORBUFFER, fetch->detail);
    SET(CURLOPT_NOSIGNAL, 1L);
    /* Letting go of a transfer must not wait for the thread that resolves its name. */
    SET(CURLOPT_QUICK_EXIT, 1L);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)fetch->timeout_ms);
    SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
    SET(CURLOPT_OPENSOCKETDATA, fetch);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, fetch);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, fetch);
    SET(CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)fetch->max_bytes);
    SET(CURLOPT_USERAGENT, "Perigee");
    SET(CURLOPT_HTTPHEADER, fetch->lines);
    return code;
}

int fetch_prepare(fetch_t *fetch, const late_t *late) {
    fetch->late = late;
    fetch->detail[0] = '\0';
    fetch->easy = late->easy_init();
    if (!fetch->easy || add_lines(fetch) != 0) return ERR_NO_MEMORY;
    bool ok = set_method(fetch) == CURLE_OK && set_target(fetch) == CURLE_OK &&
              set_rest(fetch) == CURLE_OK;
    return ok ? 0 : ERR_NO_MEMORY;
}

static int err_of(const fetch_t *fetch, CURLcode code) {
    if (fetch->fault) return fetch->fault;
    switch (code) {
    case CURLE_OK:
        return 0;
    case CURLE_COULDNT_CONNECT:
        return fetch->refused ? ERR_DENIED : ERR_UNAVAILABLE;
    case CURLE_OPERATION_TIMEDOUT:
        return ERR_TIMEOUT;
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
        return ERR_INVALID;
    case CURLE_FILESIZE_EXCEEDED:
        return ERR_TOO_LARGE;
    case CURLE_OUT_OF_MEMORY:
        return ERR_NO_MEMORY;
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
        return ERR_CLOSED;
    default:
        return ERR_UNAVAILABLE;
    }
}

static void describe(fetch_t *fetch, CURLcode code) {
    const char *text = fetch->detail;
    if (fetch->err == ERR_DENIED)
        text = "the host has a private address";
    else if (fetch->err == ERR_TOO_LARGE)
        text = "the answer is larger than allowed";
    else if (!fetch->detail[0])
        text = fetch->late->easy_strerror(code);
    if (text != fetch->detail) snprintf(fetch->detail, sizeof fetch->detail, "%s", text);
}

void fetch_conclude(fetch_t *fetch, CURLcode code) {
    long status = 0;
    fetch->err = err_of(fetch, code);
    if (fetch->err) {
        describe(fetch, code);
        return;
    }
    fetch->late->easy_getinfo(fetch->easy, CURLINFO_RESPONSE_CODE, &status);
    fetch->status = (int)status;
}

void fetch_release(fetch_t *fetch) {
    if (fetch->easy) fetch->late->easy_cleanup(fetch->easy);
    if (fetch->lines) fetch->late->slist_free_all(fetch->lines);
    fetch->easy = NULL;
    fetch->lines = NULL;
}

void fetch_clear(fetch_t *fetch) {
    buf_destroy(&fetch->head);
    buf_destroy(&fetch->answer);
}

bool fetch_header_next(const fetch_t *fetch, size_t *at, span_t *name, span_t *value) {
    if (*at >= fetch->head.len) return false;
    *name = span_of(fetch->head.ptr + *at);
    *value = span_of(fetch->head.ptr + *at + name->len + 1);
    *at += name->len + value->len + 2;
    return true;
}
