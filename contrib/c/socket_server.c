/* Sends a line to whoever connects, and prints the line it gets.  socket_server [PATH] */
#define _GNU_SOURCE
#include "lecture.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define ADDRESS "mysocket" /* addr to connect */

int main(int argc, char **argv)
{
    const char *strs = "This is the string from the server.\n";
    const char *path = where(argc, argv, "PATH", ADDRESS);
    struct sockaddr_un saun = {.sun_family = AF_UNIX};
    struct stat status;
    FILE *fp;
    long came = 0;
    int c, s, ns; /* the lecture has a char c, which is never EOF on some machines */
    with_a_deadline();
    if (strlen(path) >= sizeof saun.sun_path) { /* strcpy would write behind it */
        fprintf(stderr, "%s is longer than a socket's path can be\n", path);
        return 1;
    }
    strcpy(saun.sun_path, path);
    s = socket(AF_UNIX, SOCK_STREAM, 0);
    /* The lecture unlinks whatever has this name: only a socket that nobody listens at is in the way. */
    if (!lstat(path, &status) && S_ISSOCK(status.st_mode)
        && connect(s, (struct sockaddr *)&saun, sizeof saun))
        unlink(path);
    close(s);
    s = socket(AF_UNIX, SOCK_STREAM, 0);
    if (s < 0 || bind(s, (struct sockaddr *)&saun, sizeof saun) || listen(s, 5)) {
        perror(path);
        return 1;
    }
    ns = accept(s, NULL, NULL);
    fp = ns < 0 ? NULL : fdopen(ns, "r");
    if (!fp) {
        perror("accept");
        return 1;
    }
    if (send(ns, strs, strlen(strs), MSG_NOSIGNAL) < 0)
        fprintf(stderr, "the client does not listen\n");
    for (; (c = fgetc(fp)) != EOF; came++) {
        putchar(c);
        if (c == '\n')
            break;
    }
    fclose(fp);
    close(s);
    unlink(path);
    return !came || fflush(stdout) != 0;
}
