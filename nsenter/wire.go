package nsenter

// #cgo CFLAGS: -std=gnu11 -Wall -Wextra -fvisibility=hidden
// #include "sandbox.h"
import "C"

// The formats that sandbox.h describes, from there.
const (
	configMagic       = C.PODRT_CONFIG_MAGIC
	configMax         = C.PODRT_CONFIG_MAX // bytes
	configHeaderSize  = C.PODRT_CONFIG_HEADER
	recordHeaderSize  = C.PODRT_RECORD_HEADER
	recordFlags       = C.PODRT_RECORD_FLAGS
	recordPinDir      = C.PODRT_RECORD_PIN_DIR
	recordInitCgroup  = C.PODRT_RECORD_INIT_CGROUP
	recordOOMScore    = C.PODRT_RECORD_OOM_SCORE
	recordHostname    = C.PODRT_RECORD_HOSTNAME
	recordDomainname  = C.PODRT_RECORD_DOMAINNAME
	recordUIDMap      = C.PODRT_RECORD_UID_MAP
	recordGIDMap      = C.PODRT_RECORD_GID_MAP
	recordTimeOffsets = C.PODRT_RECORD_TIME_OFFSETS
	recordSysctl      = C.PODRT_RECORD_SYSCTL
	reportPin         = C.PODRT_REPORT_PIN
	reportInit        = C.PODRT_REPORT_INIT
	reportError       = C.PODRT_REPORT_ERROR
	reportDone        = C.PODRT_REPORT_DONE
)
