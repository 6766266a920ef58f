/* tls.c: the TLS side of a connection to Redis: always verified, name and chain. */
#include "redis/tls.h"
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>

static const char *load(SSL_CTX *tls, const redis_url_t *url) {
    SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION);
    SSL_CTX_set_options(tls, SSL_OP_NO_RENEGOTIATION); /* so that reading never waits for writing */
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
    if (url->ca[0] && !SSL_CTX_load_verify_locations(tls, url->ca, NULL))
        return "the file with the authorities cannot be read";
    if (!url->ca[0] && !SSL_CTX_set_default_verify_paths(tls))
        return "the system's authorities cannot be read";
    if (!url->cert[0]) return NULL;
    if (SSL_CTX_use_certificate_chain_file(tls, url->cert) != 1)
        return "the client's certificate cannot be read";
    if (SSL_CTX_use_PrivateKey_file(tls, url->key, SSL_FILETYPE_PEM) != 1)
        return "the client's key cannot be read or is another certificate's";
    return NULL;
}

SSL_CTX *redis_tls_new(const redis_url_t *url, char *why, size_t size) {
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
    const char *fault = tls ? load(tls, url) : "out of memory";
    redis_tls_forget_errors();
    if (!fault) return tls;
    SSL_CTX_free(tls);
    snprintf(why, size, "TLS to Redis: %s", fault);
    return NULL;
}

void redis_tls_delete(SSL_CTX *tls) {
    SSL_CTX_free(tls);
}

SSL *redis_tls_session(SSL_CTX *tls, const char *name) {
    SSL *session = SSL_new(tls);
    if (!session) return NULL;
    X509_VERIFY_PARAM *param = SSL_get0_param(session);
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    bool address = X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1;
    bool set = address || (name[0] && X509_VERIFY_PARAM_set1_host(param, name, 0) == 1 &&
                              SSL_set_tlsext_host_name(session, name) == 1);
    redis_tls_forget_errors();
    if (set) return session;
    SSL_free(session);
    return NULL;
}

void redis_tls_explain(SSL *session, char *why, size_t size) {
    long verified = SSL_get_verify_result(session);
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    if (verified != X509_V_OK) reason = X509_verify_cert_error_string(verified);
    snprintf(why, size, "TLS: %s", reason ? reason : "the server closed the connection");
    redis_tls_forget_errors();
}

int redis_tls_handshake(SSL *session, char *why, size_t size) {
    redis_tls_forget_errors();
    int result = SSL_do_handshake(session);
    if (result == 1) return 1;
    int error = SSL_get_error(session, result);
    if (error == SSL_ERROR_WANT_READ) return 0;
    if (error == SSL_ERROR_WANT_WRITE) return 2;
    redis_tls_explain(session, why, size);
    return -1;
}

void redis_tls_forget_errors(void) {
    ERR_clear_error();
}

bool redis_tls_pending(SSL *session) {
    return SSL_pending(session) > 0;
}

void redis_tls_free(SSL *session) {
    SSL_free(session);
}
