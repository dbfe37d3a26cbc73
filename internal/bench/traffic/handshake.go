package traffic

// The key of all opening handshakes, and what belongs to it (RFC 6455 §4.2.2).
const (
	Key    = "AAAAAAAAAAAAAAAAAAAAAA=="
	Accept = "ICX+Yqv66kxgM0FcWaLWlFLwTAI="
)

// BarePayload is the name of the query's value by which a server that does not
// read frames is told how long their payloads are.
const BarePayload = "payload"
