// lwIP: the five PCBs, the states they go through, and who gets one.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Board } from '../board/index.mjs';
import { connectTo, holdPcbs, listenOn } from '../board/testing.mjs';

const states = (board) => board.vitals().states;

describe('the pool', () => {
  test('the sixth connection is not answered while five are open', () => {
    const board = new Board();
    const server = listenOn(board);
    for (let i = 0; i < 5; i++) connectTo(board, server);
    const sixth = board.connect();
    board.run(500);
    assert.equal(sixth.state, 'connecting');
    assert.deepEqual(states(board), { ESTABLISHED: 5 });
  });

  test('listeners do not count', () => {
    const board = new Board({ pcbs: 1 });
    const server = listenOn(board, 80);
    listenOn(board, 81);
    assert.equal(board.vitals().pcbs, 0);
    connectTo(board, server);
  });

  test('an outgoing connection counts', () => {
    const board = new Board();
    const fd = board.netdev.socket('AF_INET', 'STREAM');
    board.netdev.connect(fd, '192.168.1.9', 80);
    assert.deepEqual(states(board), { SYN_SENT: 1 });
  });

  test('a dropped SYN comes again after 1, 3 and 7 s, and then no more', () => {
    const board = new Board({ pcbs: 1 });
    listenOn(board);
    holdPcbs(board, 1);
    const syns = [];
    board.network.onPacket = ({ flags, at }) => { if (flags.syn) syns.push(at); };
    const client = board.connect();
    board.run(30000);
    assert.deepEqual(syns, [0, 1000, 3000, 7000]);
    assert.deepEqual([client.state, client.timedOut], ['closed', true]);
  });

  test('a SYN that comes again gets in when a PCB is free by then', () => {
    const board = new Board({ pcbs: 1 });
    const server = listenOn(board);
    const [held] = holdPcbs(board, 1);
    const client = board.connect();
    board.run(1500);
    board.netdev.close(held);
    board.run(1400);
    assert.equal(server.accepted.length, 0);
    board.run(200);
    assert.equal(server.accepted.length, 1);
    assert.equal(Math.round(client.connectedAt), 3002);
  });

  test('TIME_WAIT is given up for a SYN', () => {
    const board = new Board({ pcbs: 1 });
    const server = listenOn(board);
    const { fd } = connectTo(board, server);
    board.netdev.close(fd);
    board.run(20);
    assert.deepEqual(states(board), { TIME_WAIT: 1 });
    connectTo(board, server);
    assert.deepEqual(states(board), { ESTABLISHED: 1 });
  });

  test('the oldest TIME_WAIT goes first', () => {
    const board = new Board({ pcbs: 2 });
    const server = listenOn(board);
    const serials = [];
    for (let i = 0; i < 2; i++) {
      const { client, fd } = connectTo(board, server);
      serials.push(client.pcb);
      board.netdev.close(fd);
      board.run(100);
    }
    const third = connectTo(board, server);
    assert.equal(third.client.pcb, serials[0]);
  });

  test('LAST_ACK is given up for a SYN', () => {
    const board = new Board({ pcbs: 1 });
    const server = listenOn(board);
    const { client } = connectTo(board, server);
    client.end();
    client.vanish();
    board.run(10);
    assert.deepEqual(states(board), { LAST_ACK: 1 });
    connectTo(board, server);
    assert.deepEqual(states(board), { ESTABLISHED: 1 });
  });

  test('CLOSING is given up for a SYN', () => {
    const board = new Board({ pcbs: 1 });
    const server = listenOn(board);
    const { client, fd } = connectTo(board, server, { delay: 10 });
    client.end();
    board.netdev.close(fd);
    client.vanish();
    board.run(20);
    assert.deepEqual(states(board), { CLOSING: 1 });
    connectTo(board, server);
    assert.deepEqual(states(board), { ESTABLISHED: 1 });
  });

  test('TIME_WAIT is given up for a bind', () => {
    const board = new Board({ pcbs: 1 });
    const server = listenOn(board);
    const { fd } = connectTo(board, server);
    board.netdev.close(fd);
    board.run(20);
    holdPcbs(board, 1);
    assert.deepEqual(states(board), { BOUND: 1 });
  });

  test('FIN_WAIT_2 is not given up', () => {
    const board = new Board({ pcbs: 1 });
    const server = listenOn(board);
    const { fd } = connectTo(board, server, { autoClose: false });
    board.netdev.close(fd);
    board.run(20);
    assert.deepEqual(states(board), { FIN_WAIT_2: 1 });
    const next = board.connect();
    board.run(500);
    assert.equal(next.state, 'connecting');
  });
});

describe('states', () => {
  test('we end first: FIN_WAIT_1, then TIME_WAIT for two minutes', () => {
    const board = new Board();
    const { fd } = connectTo(board, listenOn(board));
    board.netdev.close(fd);
    assert.deepEqual(states(board), { FIN_WAIT_1: 1 });
    board.run(10);
    assert.deepEqual(states(board), { TIME_WAIT: 1 });
    board.run(119980);
    assert.deepEqual(states(board), { TIME_WAIT: 1 });
    board.run(30);
    assert.deepEqual(states(board), {});
  });

  test('the peer ends first: LAST_ACK, then nothing', () => {
    const board = new Board();
    const { client } = connectTo(board, listenOn(board), { delay: 10 });
    client.end();
    board.run(11);
    assert.deepEqual(states(board), { LAST_ACK: 1 });
    board.run(20);
    assert.deepEqual(states(board), {});
  });

  test('FIN_WAIT_2 ends with the peer\'s FIN', () => {
    const board = new Board();
    const { client, fd } = connectTo(board, listenOn(board), { autoClose: false });
    board.netdev.close(fd);
    board.run(5000);
    assert.deepEqual(states(board), { FIN_WAIT_2: 1 });
    client.end();
    board.run(10);
    assert.deepEqual(states(board), { TIME_WAIT: 1 });
  });

  test('FIN_WAIT_2 ends 20 s after close', () => {
    const board = new Board();
    const { fd } = connectTo(board, listenOn(board), { autoClose: false });
    board.netdev.close(fd);
    board.run(19990);
    assert.deepEqual(states(board), { FIN_WAIT_2: 1 });
    board.run(20);
    assert.deepEqual(states(board), {});
  });

  test('after shutdown(fd, 1) alone FIN_WAIT_2 does not end', () => {
    const board = new Board({ passMicros: 10000 });
    const { fd } = connectTo(board, listenOn(board), { autoClose: false });
    board.netdev.shutdown(fd, 1);
    board.run(600000);
    assert.deepEqual(states(board), { FIN_WAIT_2: 1 });
  });

  test('SYN_RCVD is given up after 20 s', () => {
    const board = new Board({ passMicros: 10000 });
    listenOn(board);
    const client = board.connect();
    board.network.onPacket = ({ flags }) => (flags.syn ? 'deliver' : 'drop');
    board.run(15000);
    assert.deepEqual(states(board), { SYN_RCVD: 1 });
    client.vanish();
    board.run(5100);
    assert.deepEqual(states(board), {});
  });

  test('a client that vanished is noticed only by what it does not acknowledge', () => {
    const board = new Board({ passMicros: 20000 });
    const { client, fd } = connectTo(board, listenOn(board));
    client.vanish();
    board.run(600000);
    assert.deepEqual(states(board), { ESTABLISHED: 1 });
    board.netdev.write(fd, 'anybody?');
    board.run(600000);
    assert.deepEqual(states(board), { ESTABLISHED: 1 });
    board.run(600000);
    assert.deepEqual(states(board), {});
  });
});
