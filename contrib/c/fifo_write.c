/* Writes one message into a FIFO, as the lecture's child does.  fifo_write [PATH] */
#define _GNU_SOURCE
#include "lecture.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

int main(int argc, char **argv)
{
    const char *path = where(argc, argv, "PATH", "/tmp/fifo");
    char buf[] = "123456789";
    struct stat status;
    int fd;
    with_a_deadline(); /* to open a FIFO blocks until somebody opens its other end */
    while ((fd = open(path, O_WRONLY | O_NOFOLLOW)) < 0 && errno == ENOENT)
        pause_ms(1);
    if (fd < 0 || fstat(fd, &status) || !S_ISFIFO(status.st_mode)) {
        fprintf(stderr, "%s is no FIFO that can be written\n", path);
        return 1;
    }
    if (write(fd, buf, sizeof buf) != (ssize_t)sizeof buf) {
        perror("write");
        return 1;
    }
    printf("Child send: %s\n", buf);
    close(fd);
    return 0;
}
