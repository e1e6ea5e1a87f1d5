/**
 * ehttpserver: a non-blocking HTTP/1.1 server for Kaluma on the Raspberry Pi Pico W.
 *
 *     const server = new Server();
 *     server.route('/hello/(.*)', 'GET', (path, query, headers, body, match) => 'Hello ' + match[1]);
 *     server.listen(80);
 *
 * A handler returns text, bytes, an object (sent as JSON), a {@link Response} or a {@link FileResponse}. A slow handler is a
 * generator or an async function, so it blocks nobody. The server is an iterator too: {@link run} steps it beside the program's own generators.
 */
/**
 * Request headers. Names are in lower case, and repeated headers are joined with ", " (`cookie` with "; ").
 * The object has no prototype: `constructor` is a name like any other.
 */
export type RequestHeaders = {
    [name: string]: string;
};
/** Yields the pieces of a streamed body. `undefined` means: nothing yet, ask again at the next step. */
export type BodyIterator = Iterator<string | Uint8Array | undefined>;
/** What a handler may return: a Response, text (sent as text/plain), bytes, nothing (204), or any other value, which is sent as JSON. */
export type Reply = Response | string | Uint8Array | object | number | boolean | null | undefined | void;
/**
 * Answers one request. `this` is the server.
 * @param path percent-decoded once, without the query
 * @param query raw, without the "?"; see {@link urlDecode}
 * @param headers the request's headers, with names in lower case
 * @param body the whole body of the request
 * @param match the match of the route's regular expression: `match[1]` is its first group
 * @returns the reply; or an iterator (such as a generator), which is stepped until it returns the reply; or a promise of the reply
 * @throws anything: {@link Server.debug} reports it, and the client gets 500
 */
export type Handler<S = any> = (this: S, path: string, query: string, headers: RequestHeaders, body: Uint8Array, match: string[]) => Reply | Iterator<unknown, Reply> | PromiseLike<Reply>;
/** What `__netdev.get(fd)` returns. The driver calls the callbacks that are set on it. */
export interface NetdevSocket {
    /** A client has connected. */
    accept_cb?: (fd: number) => void;
    /** Bytes have arrived. Stock firmware gives them to the listening socket, without saying which client sent them. */
    read_cb?: (data: Uint8Array) => void;
    /** The socket is closed. */
    close_cb?: () => void;
}
/** Kaluma's network driver, `global.__netdev`. Every call returns at once. */
export interface Netdev {
    /** 0 when the last call succeeded, -1 when it failed. */
    errno: number;
    /** The board's address. */
    ip: string;
    /** Opens a socket and returns its file descriptor (fd). Throws when none is left, or Wi-Fi is not connected. */
    socket(domain: string, protocol: string): number;
    /** Returns the object for a socket's callbacks. */
    get(fd: number): NetdevSocket;
    /** Gives a socket its port. 0 means any. */
    bind(fd: number, address: string, port: number): void;
    /** Accepts clients from now on. */
    listen(fd: number): void;
    /** Queues one byte per character: either all of them or none. */
    write(fd: number, data: string): void;
    /** Stops receiving (0) or sending (1). */
    shutdown(fd: number, how: number): void;
    /** Closes a socket. Its fd is free at once. */
    close(fd: number): void;
}
/** Limits and switches. These limits bound the memory that a client can make the server use. */
export interface ServerOptions {
    /** Most characters in a request line. A longer one gets 414. Default 2048. */
    maxRequestLineSize?: number;
    /** Most header fields in a request. More get 431. Default 50. */
    maxHeaderCount?: number;
    /** Most bytes in all header lines together. More get 431. Default 4096. */
    maxHeaderBytes?: number;
    /** Most bytes in a request body. A larger one gets 413. Default 16384. */
    maxBodyBytes?: number;
    /** Seconds from the first byte of a request to its last (then 408), and without progress of an answer (then it is closed). Default 10. */
    requestTimeoutSeconds?: number;
    /** Most connections at a time. Streams and WebSockets take at most one less, the next gets 503. Default 5 (lwIP has no more) minus `reserve`. */
    maxParallelConnections?: number;
    /** Connections (PCBs of lwIP) to leave free for the program's own outgoing connections. Default 0. */
    reserve?: number;
    /** Also print requests, and tell clients why a handler failed. Default false. */
    debug?: boolean;
    /** The network driver. Default `global.__netdev`. */
    netdev?: Netdev;
}
/**
 * Decodes UTF-8.
 * @param bytes such as the body of a request
 * @returns the text, or null when the bytes are not valid UTF-8 (RFC 3629)
 */
export declare function text(bytes: Uint8Array): string | null;
/**
 * Decodes a part of a query or of a form (`application/x-www-form-urlencoded`): %XX, and + for a space.
 * @param text a name or a value, as it was received
 * @returns the decoded text, or null when it is malformed: "%" without two hex digits, or bytes that are not UTF-8
 */
export declare function urlDecode(text: string): string | null;
/** An answer to a request. */
export declare class Response {
    /** The body, as it was given or as JSON. */
    body: string | Uint8Array | BodyIterator;
    /** The status code: RFC 9110, section 15. */
    status: number;
    /** The type of the body, without the charset that is added. */
    contentType: string;
    /** Additional headers. The object has no prototype; one that you give to the constructor is copied. */
    headers: {
        [name: string]: string | number;
    };
    /**
     * @param body text (sent as UTF-8), bytes, an iterator that yields either (a stream, see {@link BodyIterator}), or any other value, which is
     *   sent as JSON. Default ''
     * @param status three digits: RFC 9110, section 15. Default 200
     * @param contentType default 'text/plain', for JSON 'application/json'. If it has no parameter, "; charset=utf-8" is added to a text type
     *   and to the type of a string or JSON
     * @param headers additional headers. A content-type among them replaces contentType. Default none
     * @throws Error when a header has a line break, another control character or a character above U+00FF, or the status does not have three
     *   digits (all of it is checked again when the response is sent); TypeError for a value that JSON cannot express
     */
    constructor(body?: unknown, status?: number, contentType?: string, headers?: {
        [name: string]: string | number;
    });
}
/**
 * A response with a file. If there is a file NAME.gz and the client accepts gzip, or if there is only NAME.gz, that is sent instead. The client
 * gets 404 when there is neither, or when a segment of the path is "..".
 * @param path the file's path on the board
 * @param headers additional headers, such as cache-control. Default none
 * @param contentType default: the type for the extension, or 'application/octet-stream'
 * @param bufferSize bytes to read at a step. Default 1024
 */
export declare const FileResponse: new (path: string, headers?: {
    [name: string]: string | number;
}, contentType?: string, bufferSize?: number) => Response;
/**
 * The web server. Add handlers with {@link Server.route}, or make a subclass and mark its methods with {@link route}. Then call
 * {@link Server.listen}, or pass {@link Server.start} to {@link run}.
 */
export declare class Server {
    private _routes?;
    /**
     * @param options limits and switches, see {@link ServerOptions}
     * @throws Error for an option that does not exist
     */
    constructor(options?: ServerOptions);
    /**
     * Adds a handler to this server only. The first route that matches answers. A GET route also answers HEAD.
     * @param path a regular expression; a string must match the whole path
     * @param method 'GET', 'POST' and so on, in capitals
     * @param handler see {@link Handler}
     * @returns this
     * @throws Error with the route, when the method is not in capitals or the handler is not a function
     */
    route(path: string | RegExp, method: string, handler: Handler<this>): this;
    /**
     * Listens, and returns the server as a generator: each `next()` is one bounded step, plus the time of your handlers.
     * @param port the port to listen on. Default 80
     * @returns the iterator, which is this server
     * @throws Error with the port, when it is in use, no socket is left or Wi-Fi is not connected; Error when this server is already listening
     */
    start(port?: number): Iterator<undefined>;
    /** Runs one bounded step of the server, after {@link Server.start}. */
    next(): IteratorResult<undefined>;
    /**
     * Listens, and lets the event loop step the server.
     * @param port the port to listen on. Default 80
     * @param ready called when the server is listening
     * @returns this
     * @throws Error as start() does
     */
    listen(port?: number, ready?: () => void): this;
    /** Ends all connections of this server and stops listening. */
    close(): void;
    /**
     * Prints a message on the console. Override it to log elsewhere. The server calls it for errors and, with options.debug, for requests.
     * @param message what was thrown, or a request's method, path and status
     */
    debug(message: unknown): void;
}
/** What {@link route} returns: a decorator (legacy or standard) for methods with the signature of a {@link Handler}. */
export interface RouteDecorator {
    /** Legacy decorators: the class's prototype. */
    <T extends Handler>(target: object, name: string | symbol, descriptor: TypedPropertyDescriptor<T>): void;
    /** Standard decorators: the method. */
    (target: Handler, context: {
        addInitializer(initializer: (this: any) => void): void;
    }): void;
}
/**
 * Decorator that makes a method of a {@link Server} subclass the handler of a route.
 * @param path a regular expression; a string must match the whole path
 * @param method 'GET', 'POST' and so on, in capitals. Default 'GET'. With 'WEBSOCKET', the method is a WebSocketHandler
 */
export declare function route(path: string | RegExp, method: 'WEBSOCKET'): (target: any, name: any) => void;
export declare function route(path: string | RegExp, method?: string): RouteDecorator;
/**
 * Steps iterators side by side from the event loop until each is done, as asyncio.gather does in Python. If one throws, the error is printed
 * and the others go on.
 */
export declare function run(...iterators: Iterator<unknown>[]): void;
