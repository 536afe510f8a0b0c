/* Connects, prints the line it gets, and sends one.  socket_client [PATH] */
#define _GNU_SOURCE
#include "lecture.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#define ADDRESS "mysocket" /* addr to connect */

int main(int argc, char **argv)
{
    const char *strs = "This is the first string from the client.\n";
    const char *path = where(argc, argv, "PATH", ADDRESS);
    struct sockaddr_un saun = {.sun_family = AF_UNIX};
    FILE *fp;
    struct pollfd heard = {.events = POLLIN};
    int c, s;
    with_a_deadline();
    if (strlen(path) >= sizeof saun.sun_path) {
        fprintf(stderr, "%s is longer than a socket's path can be\n", path);
        return 1;
    }
    strcpy(saun.sun_path, path);
    s = socket(AF_UNIX, SOCK_STREAM, 0);
    while (connect(s, (struct sockaddr *)&saun, sizeof saun)) {
        if (errno != ENOENT && errno != ECONNREFUSED) { /* the lecture goes on unconnected */
            perror(path);
            return 1;
        }
        pause_ms(1); /* the lecture's client must be started second */
    }
    fp = fdopen(s, "r");
    heard.fd = s;
    /* The lecture's client waits for ever for a server that says nothing: here some seconds. */
    if (fp && poll(&heard, 1, (int)patience() * 200) > 0)
        while ((c = fgetc(fp)) != EOF) {
            putchar(c);
            if (c == '\n')
                break;
        }
    if (send(s, strs, strlen(strs), MSG_NOSIGNAL) != (ssize_t)strlen(strs)) {
        perror("send");
        return 1;
    }
    close(s);
    return fflush(stdout) != 0;
}
