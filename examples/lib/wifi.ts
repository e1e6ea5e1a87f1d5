// Brings the board on the network: the same few lines for every example.
/// <reference path="kaluma.d.ts" />
import { WiFi } from 'wifi';

/**
 * Calls `ready` once the board is on the network: on yours, if its name and password are in the board's storage (WIFI_SSID and
 * WIFI_PASSWORD), else on one that the board opens itself: Kaluma_AP, password kalumaAp.
 */
export function online(ready: () => void): void {
  const wifi = new WiFi();
  // Not called from within the driver's callback: there an error in your program would get lost.
  const next = () => { setTimeout(ready, 1); };
  if (!storage.getItem('WIFI_SSID')) return wifi.wifiApMode(next);

  wifi.connect(() => wifi.getConnection((_error, connection) => {
    if (connection) return next();
    console.error('No Wi-Fi connection to ' + storage.getItem('WIFI_SSID') + ', trying again.');
    setTimeout(() => online(ready), 5000);
  }));
}

/** Where the board is found; known as soon as a server listens. */
export function address(): string {
  return 'http://' + __netdev.ip + '/';
}
