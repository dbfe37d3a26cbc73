// Package websocket implements the WebSocket protocol (RFC 6455), server and client.
package websocket
