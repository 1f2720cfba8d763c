/* Host and domain name, in the UTS namespace just made. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "sandbox.h"

int podrt_set_names(const struct config *cfg, struct failure *f)
{
	if (cfg->hostname != NULL && sethostname(cfg->hostname, strlen(cfg->hostname)) < 0)
		return podrt_fail(f, errno, "set hostname", cfg->hostname);
	if (cfg->domainname != NULL && setdomainname(cfg->domainname, strlen(cfg->domainname)) < 0)
		return podrt_fail(f, errno, "set domainname", cfg->domainname);
	return 0;
}
