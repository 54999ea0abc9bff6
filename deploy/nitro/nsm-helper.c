/*
 * Carries one request to the Nitro Secure Module: CBOR request on standard input, CBOR response on
 * standard output. Exit code 0 and a whole response, or 1 and nothing.
 *
 * The interface is the Linux driver's (drivers/misc/nsm.c, include/uapi/linux/nsm.h): one ioctl with
 * two buffers. The helper knows nothing of what it carries; what comes back is signed.
 *
 *   cc -O2 -Wall -Wextra -Werror -static -o nsm-helper nsm-helper.c
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define REQUEST_MAX 0x1000
#define RESPONSE_MAX 0x3000

struct nsm_buffer {
  uint64_t address;
  uint64_t length;
};

struct nsm_raw {
  struct nsm_buffer request;
  struct nsm_buffer response;
};

#define NSM_IOCTL_RAW _IOWR(0x0A, 0x0, struct nsm_raw)

/* Bytes read until the end of input, or -1 when there are more than fit. */
static ssize_t read_all(uint8_t *buffer, size_t size) {
  size_t at = 0;
  for (;;) {
    ssize_t n = read(STDIN_FILENO, buffer + at, size - at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -1;
    if (n == 0) return (ssize_t)at;
    at += (size_t)n;
    if (at == size) return -1;
  }
}

static int write_all(const uint8_t *buffer, size_t size) {
  for (size_t at = 0; at < size;) {
    ssize_t n = write(STDOUT_FILENO, buffer + at, size - at);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return -1;
    at += (size_t)n;
  }
  return 0;
}

int main(int argc, char **argv) {
  static uint8_t request[REQUEST_MAX + 1];
  static uint8_t response[RESPONSE_MAX];
  const char *device = argc > 1 ? argv[1] : "/dev/nsm";

  ssize_t length = read_all(request, sizeof request);
  if (length <= 0) return 1;

  int fd = open(device, O_RDWR | O_CLOEXEC);
  if (fd < 0) return 1;

  struct nsm_raw raw = {
      .request = {.address = (uintptr_t)request, .length = (uint64_t)length},
      .response = {.address = (uintptr_t)response, .length = sizeof response},
  };
  if (ioctl(fd, NSM_IOCTL_RAW, &raw) != 0) return 1;
  if (raw.response.length == 0 || raw.response.length > sizeof response) return 1;
  return write_all(response, raw.response.length) == 0 ? 0 : 1;
}
