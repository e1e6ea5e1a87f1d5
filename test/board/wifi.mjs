// `require('wifi')`. On the board every call blocks until it is done, so callbacks run before it returns.
import { EventEmitter } from './events.mjs';

const AP_IP = '192.168.4.1';

export class Wifi {
  /**
   * @param {object} options
   * @param {boolean} options.connected
   * @param {string} options.ip the address that the board gets
   * @param {ReturnType<import('./storage.mjs').makeStorage>} options.storage
   */
  constructor({ connected, ip, storage }) {
    this.stationIp = ip;
    this.storage = storage;
    this.connected = connected;
    this.apMode = false;
    this.ssid = connected ? storage.getItem('WIFI_SSID') ?? 'board' : '';
  }

  /** socket() works. */
  get up() {
    return this.connected || this.apMode;
  }

  get ip() {
    return this.apMode ? AP_IP : this.stationIp;
  }

  module() {
    const chip = this;
    const { storage } = this;
    const orCallback = (info, callback) => (typeof info === 'function' ? [undefined, info] : [info, callback]);

    class WiFi extends EventEmitter {
      reset(callback) {
        chip.connected = chip.apMode = false;
        callback?.(null);
      }

      scan(callback) {
        callback?.(null, [{ ssid: 'board', bssid: '00:00:00:00:00:01', security: 'WPA2_PSK', rssi: -50, channel: 1 }]);
      }

      connect(connectInfo, callback) {
        const [given, cb] = orCallback(connectInfo, callback);
        const info = given ?? { enforce: false };
        info.ssid ||= storage.getItem('WIFI_SSID');
        if (!info.ssid) return void cb?.(new Error('WIFI SSID is required'));
        info.password ||= storage.getItem('WIFI_PASSWORD');
        info.security ||= storage.getItem('WIFI_SECURITY');
        if (chip.connected && !info.enforce) return void cb?.(null, { ssid: chip.ssid, bssid: '' });
        Object.assign(chip, { connected: true, ssid: info.ssid });
        this.emit('associated');
        this.emit('connected');
        cb?.(null, info);
      }

      disconnect(callback) {
        chip.connected = false;
        this.emit('disconnected');
        callback?.();
      }

      getConnection(callback) {
        callback?.(null, chip.connected ? { ssid: chip.ssid, bssid: '' } : undefined);
      }

      wifiApMode(apInfo, callback) {
        const [given, cb] = orCallback(apInfo, callback);
        const info = given ?? {};
        info.ssid ||= storage.getItem('WIFI_AP_SSID') ?? 'Kaluma_AP';
        info.password ||= storage.getItem('WIFI_AP_PASSWORD') ?? 'kalumaAp';
        if (info.password.length < 8) throw new Error('PASSWORD need to have at least 8 characters');
        chip.apMode = true;
        cb?.(null, info);
      }

      disableWifiApMode() {
        if (!chip.apMode) throw new Error('WiFi AP_mode is not enabled.');
        chip.apMode = false;
      }

      getWifiApClients() {
        if (!chip.apMode) throw new Error('WiFi AP_mode is not enabled.');
        return [];
      }
    }
    return { WiFi };
  }
}
