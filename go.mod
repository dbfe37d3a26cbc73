module github.com/seed62ce5aa7/websocket

go 1.26.0

