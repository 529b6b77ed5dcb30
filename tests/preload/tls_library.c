/*
 * A library that takes a piece of the static TLS block.
 */
__attribute__((visibility("default"))) __thread char tls_piece[200] __attribute__((tls_model("initial-exec")));

__attribute__((visibility("default"))) char *tls_use(void);

char *tls_use(void)
{
    return tls_piece;
}
