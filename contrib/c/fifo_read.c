/* Reads one message from a FIFO, as the lecture's parent does.  fifo_read [PATH] */
#define _GNU_SOURCE
#include "lecture.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

int main(int argc, char **argv)
{
    const char *path = where(argc, argv, "PATH", "/tmp/fifo");
    char buf[512];
    struct stat status;
    ssize_t size;
    int fd, mine;
    with_a_deadline();
    /* The lecture unlinks whatever has this name. */
    mine = mkfifo(path, 0600) == 0;
    if (!mine && errno != EEXIST) {
        perror("mkfifo");
        return 1;
    }
    fd = open(path, O_RDONLY | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &status) || !S_ISFIFO(status.st_mode)) {
        fprintf(stderr, "%s is no FIFO that can be read\n", path);
        return 1;
    }
    size = read(fd, buf, sizeof buf - 1);
    if (mine)
        unlink(path); /* "Make sure you remove (rm) your pipes after use!" */
    if (size <= 0) { /* not checked in the lecture */
        fprintf(stderr, "nothing came through %s\n", path);
        return 1;
    }
    buf[size] = 0;
    printf("Parent receive: %s\n", buf);
    close(fd);
    return 0;
}
