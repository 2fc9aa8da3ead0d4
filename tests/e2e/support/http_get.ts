/** A Python program that prints what HTTP answers: host, port, path. For python3-minimal. */
export const GET = `
import socket, sys
connection = socket.create_connection((sys.argv[1], int(sys.argv[2])), 10)
connection.sendall(b"GET %s HTTP/1.0\\r\\n\\r\\n" % sys.argv[3].encode())
answer = b""
while part := connection.recv(65536):
    answer += part
head, _, body = answer.partition(b"\\r\\n\\r\\n")
assert b" 200 " in head.splitlines()[0], head
sys.stdout.write(body.decode())
`;
